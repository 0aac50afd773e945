"""Recurrent cells: derived and searched, the language model around them, its training, and its task."""

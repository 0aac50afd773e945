"""Recorded tables: learning curves of full grids, really trained, opened as problems in microseconds."""

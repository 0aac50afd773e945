"""One file a step. To add one: a file here, its number in `../../versions.py`, the change in the tables."""

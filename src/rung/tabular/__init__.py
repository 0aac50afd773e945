"""CASH: the best model that a table and a time budget can give."""

"""The data before the model: what is wrong with a table, and how far a later one has drifted from it."""

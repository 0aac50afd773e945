"""A small cluster on one machine, whose parts are killed while two users' studies share it."""

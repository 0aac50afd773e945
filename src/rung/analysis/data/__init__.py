"""What each plot shows, as arrays: pure functions of a study's log, without a word about drawing."""

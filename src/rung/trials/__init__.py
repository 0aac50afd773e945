"""What happened: the events of a study, the history that is their fold, and their codec."""

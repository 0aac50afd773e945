"""What a study shows to people: importance of parameters, plots, a report; made from the log alone."""

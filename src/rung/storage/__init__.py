"""How a study survives: the places where its log and its files lie."""

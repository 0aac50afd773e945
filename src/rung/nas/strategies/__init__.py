"""How a search relaxes, weighs, prunes and derives: one file a strategy, one table of all."""

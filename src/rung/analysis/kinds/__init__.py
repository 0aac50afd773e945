"""The kinds of plots: each a function from a study to a chart, which a renderer draws."""

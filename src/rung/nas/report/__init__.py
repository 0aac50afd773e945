"""Parts of the page about a search: words, lines by edge, what was pruned when, and charts."""

"""Strategies over complete networks: each architecture is trained on its own, and the next one suggested."""

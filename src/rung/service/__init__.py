"""The HTTP service that runs many studies for many users."""

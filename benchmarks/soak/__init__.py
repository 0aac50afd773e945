"""Every part killed at random moments, over and over: nothing lost, nothing doubled, the same incumbent."""

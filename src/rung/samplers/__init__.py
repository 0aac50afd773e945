"""Which configuration next."""

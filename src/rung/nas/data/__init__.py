"""Pictures and text that a search reads, splits, augments and cuts into batches."""

"""What can be searched: domains, and the compiled form that encodes and decodes batches."""

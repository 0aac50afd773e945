"""One file a step. To add one: a file here, its number in `schema.VERSIONS`, the change in its tables."""

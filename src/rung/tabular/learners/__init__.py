"""The learners: one file each family, and the table of them all."""

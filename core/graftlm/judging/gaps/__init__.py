"""The gap between what a model answers and what is wanted, and the rows that would address it."""

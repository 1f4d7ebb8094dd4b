"""`patina models`."""

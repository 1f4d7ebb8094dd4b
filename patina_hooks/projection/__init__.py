"""Projections: maps of a model's vectors, learned from the repository's own history."""

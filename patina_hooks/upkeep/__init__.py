"""Keeping what is recorded in line with the repository, and checking it."""

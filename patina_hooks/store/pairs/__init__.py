"""Queries on pairs: their generators, the scopes that they are made of, and the pairs themselves."""

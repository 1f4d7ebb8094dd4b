"""Queries on commits, documents, observations and sessions."""

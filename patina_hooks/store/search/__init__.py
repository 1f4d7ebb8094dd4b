"""Queries that answer questions, and the filters of a question."""

"""Retrievers, what a question may see, and what is found brought together."""

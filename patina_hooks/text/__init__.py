"""Texts: words, dates, session ids, secrets, and what is safe to print."""

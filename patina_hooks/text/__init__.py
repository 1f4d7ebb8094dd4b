"""Functions of texts: words, dates, session ids, secrets, and safe display."""

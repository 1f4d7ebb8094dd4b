"""Scanners of markup: a document's lines become parts; every line that is not blank is in one of them."""

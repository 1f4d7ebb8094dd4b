"""Scanners of markup, which split a document's lines into parts; each line that is not blank is in one."""

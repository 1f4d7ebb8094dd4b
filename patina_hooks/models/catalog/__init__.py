"""Which models there are, and which one to use."""

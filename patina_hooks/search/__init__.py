"""Search: vectors, words, and the fusion of both."""

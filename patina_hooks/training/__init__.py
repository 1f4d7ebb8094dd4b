"""Learning from the history of the repository."""

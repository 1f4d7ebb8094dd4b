"""What is said about an answer."""

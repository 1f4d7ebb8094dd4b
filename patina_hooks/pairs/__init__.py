"""Training pairs: what belongs together, by the evidence of sessions and tag ranges."""

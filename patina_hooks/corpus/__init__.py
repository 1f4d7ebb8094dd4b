"""The corpus: documents and observations, derived from live refs and work trees, kept in the log."""

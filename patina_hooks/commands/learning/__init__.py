"""Commands that learn from history and measure."""

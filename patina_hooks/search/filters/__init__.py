"""Which observations a question may find."""

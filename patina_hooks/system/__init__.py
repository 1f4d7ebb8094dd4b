"""Files, user folders, the state of the process, progress and logs."""

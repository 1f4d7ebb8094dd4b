"""Files, the environment of the process, and logs."""

"""Git: a repository read by plumbing commands, and the hooks that notify the worker of changes."""

"""Git: a repository read by plumbing, and the hooks that tell the worker of a change."""

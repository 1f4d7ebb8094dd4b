"""The documents of sessions: in the work tree, in their private copies, and archived."""

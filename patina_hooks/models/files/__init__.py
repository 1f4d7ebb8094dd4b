"""The files of a model: in packages, in folders, and from the hub."""

"""The database of what is recorded, and the cache of embeddings."""

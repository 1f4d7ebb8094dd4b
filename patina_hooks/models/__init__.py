"""Models and runtimes: weights found and checked, texts encoded, vectors named by fingerprint."""

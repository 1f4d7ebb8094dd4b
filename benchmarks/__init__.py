"""What patina costs, against the least that could do the same, in one run: `python -m benchmarks`."""

"""Real and trained networks with data: what benchmarks/accuracy.py measures on."""

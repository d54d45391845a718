"""The parts of the benchmark of queries."""

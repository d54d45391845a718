"""The parts of the benchmark of cutouts."""

"""Where a trade ends: stops and targets."""

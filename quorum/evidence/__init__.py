"""How far a result can be trusted: statistics, pure functions of arrays."""

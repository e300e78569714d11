"""How much is staked: one method per file."""

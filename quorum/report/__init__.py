"""What became of the trades: records, tables, cards."""

"""The dashboard: pages, an API and metrics over what a bot or a backtest leaves on disk."""

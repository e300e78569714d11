"""Tuning: walk-forward hyperopt, and whether its result means anything."""

"""Learning: labels, folds, models and their calibration (spec M1-M9)."""

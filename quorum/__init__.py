"""Quorum: a freqtrade strategy that trades only on a quorum of independent heads."""

__version__ = "0.1.0"

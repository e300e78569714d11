"""Errors that name what is wrong, where, and with which value."""

from __future__ import annotations


class QuorumError(Exception):
    """Base of every error Quorum raises on purpose."""


class SettingsError(QuorumError, ValueError):
    """The ``quorum`` section of the configuration cannot be used."""


class DataError(QuorumError, ValueError):
    """Candles, records or another input cannot be used."""

"""What goes wrong with the state store."""

from __future__ import annotations

from quorum.errors import QuorumError


class StateError(QuorumError):
    """The state store cannot be opened, read or written."""

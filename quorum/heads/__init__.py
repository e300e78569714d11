"""The heads: independent opinions, one file each, registered here in spec order."""

from __future__ import annotations

from typing import Any

from quorum.heads.base import Head, Votes, abstain, make_votes

__all__ = ["HEADS", "Head", "Votes", "abstain", "make_votes"]

HEADS: tuple[type[Head[Any]], ...] = ()

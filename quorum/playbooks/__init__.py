"""Playbooks: what to enter, with how much, and when to leave, on causal columns of one market.

Adding one is a new file and one line here.
"""

from __future__ import annotations

from typing import Any

from quorum.playbooks.base import NOTHING, Lot, Place, Playbook, PlaybookSection, Wish
from quorum.playbooks.trend import Trend
from quorum.playbooks.washout import Washout

__all__ = [
    "NAMES",
    "NOTHING",
    "PLAYBOOKS",
    "Lot",
    "Place",
    "Playbook",
    "PlaybookSection",
    "Wish",
    "playbook_of",
]

#: In order of their right to a pair.
PLAYBOOKS: tuple[type[Playbook[Any]], ...] = (Trend, Washout)
NAMES = tuple(playbook.name for playbook in PLAYBOOKS)


def playbook_of(tag: str | None) -> str | None:
    """Return the name of the playbook an order or a trade is tagged with, None for none."""
    return next((name for name in NAMES if tag is not None and tag.startswith(name)), None)

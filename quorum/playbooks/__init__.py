"""Playbooks: what to enter, with how much, and when to leave, on causal columns of one market.

Adding one is a new file and one line here.
"""

from __future__ import annotations

from typing import Any

from quorum.playbooks.base import NOTHING, Lot, Place, Playbook, PlaybookSection, Wish
from quorum.playbooks.trend import Trend
from quorum.playbooks.washout import Washout

__all__ = ["NOTHING", "PLAYBOOKS", "Lot", "Place", "Playbook", "PlaybookSection", "Wish"]

#: In order of their right to a pair.
PLAYBOOKS: tuple[type[Playbook[Any]], ...] = (Trend, Washout)

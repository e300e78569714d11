"""Playbooks: what to enter and with how much, as causal columns of one market.

Adding one is a new file and one line here.
"""

from __future__ import annotations

from quorum.playbooks.base import Playbook
from quorum.playbooks.trend import Trend
from quorum.playbooks.washout import Washout

__all__ = ["PLAYBOOKS", "Playbook"]

PLAYBOOKS: tuple[type[Playbook], ...] = (Trend, Washout)

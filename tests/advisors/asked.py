"""A question small enough to read."""

from __future__ import annotations

from quorum.advisors.providers import Prompt
from quorum.advisors.questions import QUESTIONS

SCHEMA = QUESTIONS["market"].schema()


def prompt() -> Prompt:
    """Return a question about two coins."""
    user = "coin 1: 24h_pct 2, 7d_pct 5\ncoin 2: 24h_pct -1, 7d_pct -3\n[whole] eth_btc 0.5"
    return Prompt("be brief", user, "market", SCHEMA, 500)

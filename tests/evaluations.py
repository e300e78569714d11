"""Columns and votes of a market, and what tests ask of them again and again."""

from __future__ import annotations

from typing import Any

import numpy as np

from quorum.features import FAMILIES
from quorum.features.table import Features
from quorum.heads.base import Head, Votes
from quorum.market import Market
from quorum.section import Section

VOTE_FIELDS = ("direction", "probability", "confidence", "reason", "available")


def columns_of(market: Market, *families: str, **constants: Any) -> Features:
    """Compute the columns of some families, in the order given; a group changes its constants."""
    out = Features(len(market))
    for name in families:
        out.begin(name)
        family = FAMILIES[name]
        family.add(market, out, constants.get(name) or family.constants)
    return out


def varied(section: type[Section], **changes: Any) -> Any:
    """Return settings some of whose constants are others too."""
    constants = {name: value for name, value in changes.items() if name in section.__class_vars__}
    given = {name: value for name, value in changes.items() if name not in constants}
    return type(section.__name__, (section,), constants)(**given)


def with_constants(head: type[Head], **changes: Any) -> Head:
    """Return a head some of whose constants are others."""
    changed = head()
    changed.constants = changed.constants._replace(**changes)
    return changed


def valid(votes: Votes) -> np.ndarray:
    """Tell where a vote is valid (spec C2)."""
    return (votes.direction != 0) & (votes.probability >= 0.60) & (votes.confidence >= 0.70)


def reasons(head: type[Head], votes: Votes, row: int = -1) -> set[str]:
    """Return the reason codes of one vote; one empty code where there is none."""
    return set(head.reason_text(int(votes.reason[row])).split("+"))


def assert_rows_of(part: Features, whole: Features, first: int = 0) -> None:
    """Check that every column of ``part`` is, bit for bit, the rows of ``whole`` from ``first``."""
    for name, values in part.items():
        rows = whole[name][first : first + part.n_candles]
        np.testing.assert_array_equal(values, rows, strict=True, err_msg=name)


def assert_votes_of(part: Votes, whole: Votes) -> None:
    """Check that votes and readings are, bit for bit, the first rows of ``whole``."""
    n = len(part.direction)
    for name in VOTE_FIELDS:
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[:n], err_msg=name)
    for name, values in part.readings.items():
        np.testing.assert_array_equal(values, whole.readings[name][:n], err_msg=name)

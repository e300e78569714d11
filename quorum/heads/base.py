"""Head and Votes: the one protocol of everything that votes (spec C1, C2)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from quorum.features.table import Features
from quorum.market import Market
from quorum.section import Section
from quorum.typing import Bools, Floats, Ints

#: Votes are given to four decimals: finer differences carry no information, and a live bot with
#: a shorter history must publish the same number as a backtest.
DECIMALS = 4


class HeadSettings(Section):
    """What every head has."""

    enabled: bool = Field(True, description="whether the head is asked at all")


@dataclass(frozen=True)
class Votes:
    """One head's votes for every candle (spec C1).

    Attributes
    ----------
    direction : ndarray of shape (n_candles,), int8
        +1 long, -1 short, 0 flat.
    probability : ndarray of shape (n_candles,), float64
        That the direction is right, 0-1, 0.5 when flat; four decimals.
    confidence : ndarray of shape (n_candles,), float64
        How much the head trusts its reading, 0-1, 0.0 when flat; four decimals.
    reason : ndarray of shape (n_candles,), int64
        Bit mask over the head's ``reasons``; 0 when flat or abstaining.
    available : ndarray of shape (n_candles,), bool
        False where the head abstains because it lacks its data.
    readings : mapping of name to ndarray of shape (n_candles,), float64
        The numbers behind the votes, for ``quorum explain`` and for models.
    """

    direction: NDArray[np.int8]
    probability: Floats
    confidence: Floats
    reason: Ints
    available: Bools
    readings: Mapping[str, Floats] = field(default_factory=dict)


def make_votes(
    direction: NDArray[np.generic],
    probability: Floats,
    confidence: Floats,
    reason: NDArray[np.generic],
    available: Bools,
    readings: Mapping[str, Floats] | None = None,
) -> Votes:
    """Bring raw arrays into the form of C1.

    NaN probability or confidence, and everything where the head is unavailable, becomes flat;
    flat candles get probability 0.5, confidence 0.0 and no reason; the rest is clipped to
    [0, 1] and rounded.
    """
    usable = available & np.isfinite(probability) & np.isfinite(confidence)
    votes = np.where(usable, np.sign(direction), 0).astype(np.int8)
    flat = votes == 0
    return Votes(
        direction=votes,
        probability=np.where(flat, 0.5, np.round(np.clip(probability, 0.0, 1.0), DECIMALS)),
        confidence=np.where(flat, 0.0, np.round(np.clip(confidence, 0.0, 1.0), DECIMALS)),
        reason=np.where(flat, 0, reason).astype(np.int64),
        available=np.ascontiguousarray(available, dtype=np.bool_),
        readings=dict(readings or {}),
    )


def abstain(n_candles: int) -> Votes:
    """Return the votes of a head that has nothing to read."""
    zeros = np.zeros(n_candles)
    return make_votes(zeros, zeros, zeros, zeros, np.zeros(n_candles, dtype=np.bool_))


S = TypeVar("S", bound=HeadSettings)


class Head(ABC, Generic[S]):
    """One independent opinion about a market.

    A subclass names itself, its weight (spec H0), its reason codes, its settings (an instance is
    at hand as ``self.settings``) and its constants, and implements :meth:`vote`. It reads the
    market and the features, never another head, the account or the clock, and is causal: row *t*
    uses nothing later than the close of candle *t*.
    """

    name: ClassVar[str]
    weight: ClassVar[float]
    #: Reason codes; bit *i* of a vote's ``reason`` stands for ``reasons[i]`` (at most 52).
    reasons: ClassVar[tuple[str, ...]]
    Settings: type[S]
    #: The numbers of its reading: constants, beside the code that uses them.
    constants: Any = ()

    def __init__(self, settings: S | None = None) -> None:
        self.settings: S = settings if settings is not None else self.Settings()

    @abstractmethod
    def vote(self, market: Market, features: Features) -> Votes:
        """Return the head's votes for every candle of ``market``."""

    @classmethod
    def bit(cls, reason: str) -> int:
        """Return the bit that stands for a reason code."""
        return 1 << cls.reasons.index(reason)

    @classmethod
    def mask(cls, flags: Mapping[str, Bools]) -> Ints:
        """Return per candle the reason mask of the codes that hold there.

        Parameters
        ----------
        flags : mapping of reason code to ndarray of shape (n_candles,), bool
            At least one.
        """
        mask = np.zeros(len(next(iter(flags.values()))), dtype=np.int64)
        for code, holds in flags.items():
            mask |= holds.astype(np.int64) << cls.reasons.index(code)
        return mask

    @classmethod
    def reason_text(cls, mask: int) -> str:
        """Spell out a reason mask, for example ``"ote_long+ny_kill_zone"``."""
        return "+".join(code for i, code in enumerate(cls.reasons) if mask >> i & 1)

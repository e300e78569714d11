"""H9 crypto: derivatives and market-wide readings, counted.

Events (a crowded ratio, an extreme of funding, takers on one side, coins leaving the exchanges)
make the direction by majority. *Background* - the alt season, reserves at their low, and any
event that has stood so long that it is no news - can last for months: it cannot vote alone, it
joins or opposes with a smaller weight. So one event with the season is a vote, one event against
the season is not yet one, two are.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np

from quorum.features.series import changed, last_row, ratio
from quorum.features.table import Features
from quorum.heads.base import Head, HeadSettings, Votes, make_votes
from quorum.heads.crypto_readings import READING_CODES, Reading, ReadingConstants, read_all
from quorum.market import HOUR_MS, Market
from quorum.typing import Bools, Floats


class CountConstants(NamedTuple):
    """How readings are counted together."""

    several: int = 3  # readings that agree as several [readings]
    several_confidence: float = 0.80  # confidence of so many
    step_confidence: float = 0.025  # confidence per reading more (five: 0.85)
    max_confidence: float = 0.90  # highest confidence
    few_max: float = 0.80  # highest confidence of fewer, whose mean is taken
    conflict: float = 0.45  # confidence lost per opposing share of the weight
    background_weight: float = 0.50  # weight of a background reading (an event has 1)
    stale_after: float = 48.0  # an event that stands this long becomes background [h]
    probability: float = 0.62  # probability of one event
    agreeing: float = 0.03  # probability per further agreeing weight
    opposing: float = 0.05  # probability per opposing weight
    max_probability: float = 0.80  # highest probability


class CryptoConstants(NamedTuple):
    """Numbers of H9."""

    readings: ReadingConstants = ReadingConstants()
    count: CountConstants = CountConstants()  # type: ignore[assignment]


def _stale(side: Floats, candles: int) -> Bools:
    """Return where a reading has stood on the same side for at least ``candles``."""
    stale: Bools = np.arange(len(side)) - last_row(changed(side)) >= candles
    return stale


class CryptoHead(Head[HeadSettings]):
    """Derivatives and market-wide crypto readings (H9)."""

    name: ClassVar[str] = "crypto"
    weight: ClassVar[float] = 0.12
    reasons: ClassVar[tuple[str, ...]] = (*READING_CODES, "conflict")
    Settings = HeadSettings
    constants: CryptoConstants = CryptoConstants()

    def vote(self, market: Market, features: Features) -> Votes:
        """Return the votes; available where the source of at least one event is."""
        readings = read_all(market, features, self.constants.readings)
        c = self.constants.count
        stale_after = int(c.stale_after * HOUR_MS // market.candles.step)
        n = len(market)
        event_balance, available = np.zeros(n), np.zeros(n, dtype=np.bool_)
        weights: list[Floats] = []
        for reading in readings:
            if reading.background:
                weights.append(np.full(n, c.background_weight))
                continue
            stale = _stale(reading.side, stale_after)
            weights.append(np.where(stale, c.background_weight, 1.0))
            event_balance += np.where(stale, 0.0, reading.side)
            available |= reading.known
        direction = np.sign(event_balance)
        return self._count(readings, weights, direction, available)

    def _count(
        self, readings: list[Reading], weights: list[Floats], direction: Floats, available: Bools
    ) -> Votes:
        """Weigh what agrees with the direction against what opposes it."""
        c = self.constants.count
        n = len(direction)
        count, total = np.zeros(n), np.zeros(n)
        agreeing, opposing = np.zeros(n), np.zeros(n)
        flags: dict[str, Bools] = {}
        for reading, weight in zip(readings, weights, strict=True):
            with_it = (reading.side == direction) & (direction != 0)
            against = reading.side * direction < 0
            count += with_it
            total += np.where(with_it, reading.confidence, 0.0)
            agreeing += np.where(with_it, weight, 0.0)
            opposing += np.where(against, weight, 0.0)
            for code, side in ((reading.long, 1), (reading.short, -1)):
                if code:
                    flags[code] = with_it & (direction == side)
        flags["conflict"] = opposing > 0
        few = np.minimum(total / np.maximum(count, 1), c.few_max)
        several = c.several_confidence + c.step_confidence * (count - c.several)
        confidence = np.where(count >= c.several, np.minimum(several, c.max_confidence), few)
        share = ratio(opposing, agreeing + opposing, 0.0)
        # One event is the base; what agrees beyond it adds, what opposes takes off.
        probability = c.probability + c.agreeing * (agreeing - 1) - c.opposing * opposing
        return make_votes(
            direction,
            np.clip(probability, 0.5, c.max_probability),
            confidence * (1 - c.conflict * share),
            self.mask(flags),
            available,
            {
                **{r.name: np.where(r.known, r.side, np.nan) for r in readings},
                "agreeing": agreeing,
                "opposing": opposing,
            },
        )

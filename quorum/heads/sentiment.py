"""H2 sentiment: what the crowd feels, and how sure one can be that it does.

Records are read as they were known at each candle. Of a *state* source (the daily fear-and-greed
index) the last record counts and stays fresh for its period; of a *flow* source (news, social)
the records are averaged with exponential decay. A source's strength falls with age; the score
is the mean of the sources by strength, and confidence grows with the number of sources at
strength and shrinks with their disagreement.

News and social sentiment are read with the crowd: they move first and price follows over hours.
The fear-and-greed index is itself computed from past price and volatility, so its middle says
nothing that price has not said; its users read the *extremes*, and against the crowd: extreme
fear marks exhausted sellers, extreme greed a market that is due for a correction. Hence the
default: contrarian at the extremes, silent between them. ``fear_greed_reading = "trend"`` turns
the sign around.
"""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numba import njit
from pydantic import Field

from quorum.features.series import ratio
from quorum.features.table import Features
from quorum.heads.base import Head, HeadSettings, Votes, abstain, make_votes
from quorum.market import HOUR_MS, Market, Records
from quorum.section import Section
from quorum.typing import Bools, Floats, Ints

#: Kinds of source, in the order the kernel numbers them; an unknown prefix is ``other``.
KINDS = ("fear_greed", "news", "social", "other")


class SourceSettings(Section):
    """How old the records of one kind of source may be."""

    max_age: float = Field(48.0, gt=0, le=2160, description="oldest usable record [h]")


class SentimentHeadSettings(HeadSettings):
    """Settings of H2."""

    fear_greed: SourceSettings = Field(
        SourceSettings(max_age=96.0), description="market-wide fear and greed, daily"
    )
    news: SourceSettings = Field(SourceSettings(), description="news, per site")
    social: SourceSettings = Field(
        SourceSettings(max_age=24.0), description="social media, per platform"
    )
    other: SourceSettings = Field(SourceSettings(), description="sources of any other name")
    fear_greed_reading: Literal["contrarian", "trend"] = Field(
        "contrarian", description="whether extreme fear is a reason to buy or to sell"
    )


class SourceReading(NamedTuple):
    """How the records of one kind of source count and age."""

    weight: float = 1.0  # weight in the score
    flow: bool = True  # average the records with decay (flow), or take the last one (state)
    fresh: float = 0.0  # how long a state record is as good as new [h]
    half_life: float = 6.0  # half-life of a record (after `fresh`) [h]
    full: float = 3.0  # weight of fresh records that gives full strength


class SentimentConstants(NamedTuple):
    """Numbers of H2."""

    fear_greed: SourceReading = SourceReading(flow=False, fresh=24.0, half_life=24.0, full=1.0)
    news: SourceReading = SourceReading()
    social: SourceReading = SourceReading(weight=0.7, half_life=3.0, full=5.0)
    other: SourceReading = SourceReading(weight=0.7)
    fear_greed_extreme: float = 0.5  # score beyond which fear and greed speak (25 and 75 of 100)
    probability_slope: float = 0.4  # probability over 0.5 per point of score
    max_probability: float = 0.9  # most probability given
    single_source: float = 0.74  # confidence of one source at full strength
    many_sources: float = 0.92  # confidence that more agreeing sources approach
    disagreement: float = 0.5  # confidence lost if sources cancel out [fraction]


def kind_of(source: str) -> int:
    """Return the kind of a source name such as ``news:coindesk``."""
    prefix = source.split(":")[0].strip().lower()
    return KINDS.index(prefix) if prefix in KINDS else KINDS.index("other")


@njit(cache=True)
def _absorb(
    known_at: float, value: float, weight: float, s: int, flow: bool, half_life: float,
    state: Floats,
) -> None:  # fmt: skip
    """Bring one record into its source's ``state`` (weighted sum, weight, time of the last)."""
    keep = 0.0
    if flow and np.isfinite(state[2, s]):
        keep = 2.0 ** ((state[2, s] - known_at) / half_life)
    state[0, s] = state[0, s] * keep + weight * value
    state[1, s] = state[1, s] * keep + weight
    state[2, s] = known_at


@njit(cache=True)
def _strength(weight: float, age: float, kind: int, rules: Floats) -> float:
    """Strength 0-1 of a source from the weight of its records and the age of the last [h]."""
    aged = age if rules[1, kind] != 0 else max(age - rules[2, kind], 0.0)
    strength: float = min(1.0, weight * 2.0 ** (-aged / rules[3, kind]) / rules[4, kind])
    return strength


@njit(cache=True)
def _aggregate(
    at: Floats, known_at: Floats, value: Floats, weight: Floats, source: Ints, kind: Ints,
    rules: Floats, extreme: float, sign: float,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Merge records into candles.

    ``rules`` has the rows weight, flow, fresh, half_life, full, max_age and a column per kind.
    Returns per candle: sources known, strength in all, sum of weights, of weighted readings, of
    their sizes; and per kind the sum of weighted readings.
    """
    n = len(at)
    out = np.zeros((5, n))
    by_kind = np.zeros((rules.shape[1], n))
    state = np.zeros((3, len(kind)))
    state[2] = -np.inf
    r = 0
    for t in range(n):
        while r < len(known_at) and known_at[r] <= at[t]:
            s = source[r]
            k = kind[s]
            _absorb(known_at[r], value[r], weight[r], s, rules[1, k] != 0, rules[3, k], state)
            r += 1
        for s in range(len(kind)):
            k = kind[s]
            age = at[t] - state[2, s]
            if age > rules[5, k] or state[1, s] <= 0:
                continue
            out[0, t] += 1
            reading = state[0, s] / state[1, s]
            if k == 0:
                reading = sign * reading if abs(reading) >= extreme else 0.0
                if reading == 0:
                    continue
            strength = _strength(state[1, s], age, k, rules)
            share = strength * rules[0, k]
            out[1, t] += strength
            out[2, t] += share
            out[3, t] += share * reading
            out[4, t] += share * abs(reading)
            by_kind[k, t] += share * reading
    return out, by_kind


class SentimentHead(Head[SentimentHeadSettings]):
    """Fear and greed, news and social sentiment from records (spec H2)."""

    name: ClassVar[str] = "sentiment"
    weight: ClassVar[float] = 0.09
    reasons: ClassVar[tuple[str, ...]] = (
        "extreme_fear",
        "extreme_greed",
        "news",
        "social",
        "other",
        "sources_disagree",
    )
    Settings = SentimentHeadSettings
    constants: SentimentConstants = SentimentConstants()

    def vote(self, market: Market, features: Features) -> Votes:
        """Return the votes of H2; abstains where no record is young enough."""
        records = market.records.get("sentiment")
        if records is None:
            return abstain(len(market))
        s = self.constants
        sums, by_kind = self.aggregate(records, market.close_time)
        known, strength, weights, signed, sizes = sums
        score = ratio(signed, weights, 0.0)
        agreement = ratio(np.abs(signed), sizes, 0.0)
        direction = np.sign(score)
        probability = np.minimum(0.5 + s.probability_slope * np.abs(score), s.max_probability)
        return make_votes(
            direction,
            probability,
            self.confidence(strength, agreement),
            self._reason(by_kind, direction),
            known > 0,
            {"score": score, "strength": strength, "agreement": agreement, "sources": known},
        )

    def aggregate(self, records: Records, at: Ints) -> tuple[Floats, Floats]:
        """Merge records into candles that close at ``at``; see the kernel for the rows."""
        s = self.constants
        kinds = [getattr(s, kind) for kind in KINDS]
        ages = [getattr(self.settings, kind).max_age for kind in KINDS]
        rules = np.vstack([np.array(kinds, dtype=np.float64).T, ages])
        # Hours since one fixed moment: the same numbers wherever the history starts.
        return _aggregate(
            at / HOUR_MS,
            records.known_at / HOUR_MS,
            records["score"],
            records["weight"],
            records["source"],
            np.array([kind_of(name) for name in records.labels["source"]], dtype=np.int64),
            rules,
            s.fear_greed_extreme,
            -1.0 if self.settings.fear_greed_reading == "contrarian" else 1.0,
        )

    def confidence(self, strength: Floats, agreement: Floats) -> Floats:
        """Return confidence from the number of sources at strength and their agreement.

        One full source gives ``single_source``, less of one its part; every further one halves
        the distance to ``many_sources``.
        """
        s = self.constants
        further = 1.0 - 2.0 ** -np.maximum(strength - 1.0, 0.0)
        number = s.single_source * np.minimum(strength, 1.0)
        number = number + (s.many_sources - s.single_source) * further
        return number * (1.0 - s.disagreement * (1.0 - agreement))

    def _reason(self, by_kind: Floats, direction: Floats) -> Ints:
        """Return the reason mask: the kinds that agree, and whether some do not."""
        extreme = by_kind[0] if self.settings.fear_greed_reading == "trend" else -by_kind[0]
        agrees: Bools = by_kind * direction > 0
        disagrees: Bools = np.any(by_kind * direction < 0, axis=0)
        return self.mask(
            {
                "extreme_fear": agrees[0] & (extreme < 0),
                "extreme_greed": agrees[0] & (extreme > 0),
                **dict(zip(KINDS[1:], agrees[1:], strict=True)),
                "sources_disagree": disagrees,
            }
        )

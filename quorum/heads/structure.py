"""H8 structure: what the swings of every timeframe say together (and spec Z1).

A structure trader takes the bias from the timeframes that agree and then waits: for a pullback
into the right half of the dealing range, or for a fresh break that proves the bias on the
timeframe being traded. So *confidence* is the alignment (the numbers of H8), and *probability*
is the timing: an aligned reading in the wrong half, without a fresh break, keeps its direction
but stays below the 0.60 of a valid vote.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np

from quorum.features.series import last_row, ratio
from quorum.features.structure import STRUCTURE_TIMEFRAMES, range_suffix
from quorum.features.table import Features
from quorum.heads.base import Head, HeadSettings, Votes, make_votes
from quorum.market import Market
from quorum.typing import Bools, Floats, Ints


class TimeframeWeights(NamedTuple):
    """How much each timeframe counts in the alignment (equal: three of four are 75 %)."""

    base: float = 1.0  # weight of the base timeframe
    four_hours: float = 1.0  # weight of 4h
    day: float = 1.0  # weight of 1d
    week: float = 1.0  # weight of 1w


class TimingConstants(NamedTuple):
    """Probability of a vote: alignment, plus where and when price stands."""

    aligned: float = 0.58  # probability at the least aligned reading
    all_aligned: float = 0.62  # probability with every timeframe aligned
    conflicted_slope: float = 0.10  # conflicted: probability over 0.5 per share over one half
    right_zone: float = 0.06  # added for a long in discount, a short in premium
    wrong_zone: float = 0.06  # taken off a long in premium, a short in discount
    base_break: float = 0.09  # added for a fresh break on the base timeframe
    against_break: float = 0.09  # taken off for a fresh base break against the direction
    higher_break: float = 0.04  # added for a fresh break on 4h
    base_hold: int = 12  # a base break fades over this long [candles]
    higher_hold: int = 3  # a 4h break fades over this long [4h candles]
    block: float = 0.005  # added per order block in favour
    breaker: float = 0.02  # added at a breaker block in favour
    maximum: float = 0.80  # highest probability


class StructureConstants(NamedTuple):
    """Numbers of H8."""

    weights: TimeframeWeights = TimeframeWeights()
    timing: TimingConstants = TimingConstants()
    min_timeframes: int = 2  # timeframes with known structure needed [timeframes]
    aligned_share: float = 0.75  # share on one side from which it is aligned
    aligned_confidence: float = 0.85  # confidence at the aligned share
    aligned_span: float = 0.05  # confidence added up to a share of 1
    conflicted_confidence: float = 0.60  # confidence of a conflicted reading
    conflicted_slope: float = 0.10  # times the share, added to it
    zone_confidence: float = 0.90  # confidence with all aligned and in the right zone
    block_confidence: float = 0.02  # confidence per unmitigated order block in favour
    max_confidence: float = 0.92  # highest confidence
    breaker_confidence: float = 0.75  # least confidence of an aligned reading at a breaker block
    discount: float = 0.45  # range position below which it is discount
    premium: float = 0.55  # range position above which it is premium


class _Alignment(NamedTuple):
    """Side and share of the timeframes' trends."""

    direction: Floats
    share: Floats
    known: Ints
    aligned: Bools


class _Timing(NamedTuple):
    """Where and when the candle stands relative to the direction.

    ``zone`` is +1 / 0 / -1, a break 1 (fresh, with the direction) to -1 (fresh, against it).
    """

    zone: Floats
    base_break: Floats
    higher_break: Floats
    blocks: Floats
    breaker: Bools


def _column(features: Features, name: str) -> Floats:
    """Return a column with 0 for what is absent or undefined."""
    values = features.get(name)
    return np.zeros(features.n_candles) if values is None else np.nan_to_num(values)


def _is_choch(features: Features, timeframe: str) -> Bools:
    """Return whether the last break of a timeframe was a change of character."""
    bos = _column(features, f"bos_{timeframe}") != 0
    choch = _column(features, f"choch_{timeframe}") != 0
    was_choch: Bools = choch[np.maximum(last_row(bos | choch), 0)]
    return was_choch


class StructureHead(Head[HeadSettings]):
    """Swing structure on every timeframe (H8)."""

    name: ClassVar[str] = "structure"
    weight: ClassVar[float] = 0.09
    reasons: ClassVar[tuple[str, ...]] = (
        "all_aligned",
        "aligned",
        "conflicted",
        "base_with",
        "4h_with",
        "1d_with",
        "1w_with",
        "right_zone",
        "wrong_zone",
        "base_bos",
        "base_choch",
        "4h_bos",
        "4h_choch",
        "order_block",
        "breaker_block",
        "base_break_against",
    )
    Settings = HeadSettings
    constants: StructureConstants = StructureConstants()

    def vote(self, market: Market, features: Features) -> Votes:
        """Return the votes; available from ``min_timeframes`` timeframes with structure."""
        trends = np.array([features[f"structure_trend_{tf}"] for tf in STRUCTURE_TIMEFRAMES])
        alignment = self._alignment(trends)
        place = features[f"range_position{range_suffix(market.candles.timeframe)}"]
        timing = self._timing(alignment.direction, place, features)
        return make_votes(
            alignment.direction,
            self._probability(alignment, timing),
            self._confidence(alignment, timing),
            self._reason(trends, alignment, timing, features),
            alignment.known >= self.constants.min_timeframes,
            {
                "bias": alignment.direction,
                "alignment": alignment.share,
                "zone": timing.zone,
                "range_position": place,
                "base_break": timing.base_break,
                "4h_break": timing.higher_break,
                "order_blocks": timing.blocks,
            },
        )

    def _alignment(self, trends: Floats) -> _Alignment:
        """Weigh the timeframes; one without a recent break counts, but for neither side."""
        s = self.constants
        w = s.weights
        weights = np.array([[w.base], [w.four_hours], [w.day], [w.week]])
        present = np.isfinite(trends)
        up = np.sum(weights * (trends > 0), axis=0)
        down = np.sum(weights * (trends < 0), axis=0)
        total = np.sum(weights * present, axis=0)
        share = ratio(np.maximum(up, down), total)
        return _Alignment(
            direction=np.sign(up - down),
            share=share,
            known=present.sum(axis=0),
            aligned=share >= s.aligned_share,
        )

    def _timing(self, direction: Floats, place: Floats, features: Features) -> _Timing:
        """Read zone, fresh breaks and blocks from the direction's point of view."""
        s = self.constants
        discount = (place < s.discount).astype(np.float64)
        premium = (place > s.premium).astype(np.float64)
        long = direction > 0

        def fresh(timeframe: str, hold: int) -> Floats:
            side = np.nan_to_num(features[f"structure_trend_{timeframe}"]) * direction
            return side * np.fmax(1 - features[f"break_age_{timeframe}"] / hold, 0.0)

        return _Timing(
            zone=direction * (discount - premium),
            base_break=fresh("base", s.timing.base_hold),
            higher_break=fresh("4h", s.timing.higher_hold),
            blocks=np.where(
                long, _column(features, "bull_ob_count"), _column(features, "bear_ob_count")
            ),
            breaker=np.where(
                long, _column(features, "bull_breaker"), _column(features, "bear_breaker")
            )
            > 0,
        )

    def _probability(self, alignment: _Alignment, timing: _Timing) -> Floats:
        """Return the probability: alignment, then timing; conflicted stays near one half."""
        s = self.constants
        p = s.timing
        span = (alignment.share - s.aligned_share) / (1 - s.aligned_share)
        aligned = p.aligned + (p.all_aligned - p.aligned) * span
        aligned += np.where(timing.zone > 0, p.right_zone, 0.0)
        aligned -= np.where(timing.zone < 0, p.wrong_zone, 0.0)
        # A break against the bias is a pullback still running: wait until it has cooled off.
        base = timing.base_break
        aligned += np.where(base > 0, p.base_break, p.against_break) * base
        aligned += p.higher_break * np.maximum(timing.higher_break, 0.0)
        aligned += p.block * timing.blocks + p.breaker * timing.breaker
        conflicted = 0.5 + p.conflicted_slope * (alignment.share - 0.5)
        return np.where(
            alignment.aligned, np.clip(aligned, 0.5, p.maximum), np.maximum(conflicted, 0.5)
        )

    def _confidence(self, alignment: _Alignment, timing: _Timing) -> Floats:
        """Return the confidence by the numbers of H8."""
        s = self.constants
        share = alignment.share
        span = (share - s.aligned_share) / (1 - s.aligned_share)
        aligned = s.aligned_confidence + span * s.aligned_span
        aligned = np.where((share >= 1) & (timing.zone > 0), s.zone_confidence, aligned)
        aligned = np.where(timing.breaker, np.maximum(aligned, s.breaker_confidence), aligned)
        lifted = np.minimum(aligned + s.block_confidence * timing.blocks, s.max_confidence)
        conflicted = s.conflicted_confidence + s.conflicted_slope * share
        return np.where(alignment.aligned, np.maximum(aligned, lifted), conflicted)

    def _reason(
        self, trends: Floats, alignment: _Alignment, timing: _Timing, features: Features
    ) -> Ints:
        """Return the bit mask of what stands behind the vote."""
        full = alignment.share >= 1
        base_choch, higher_choch = _is_choch(features, "base"), _is_choch(features, "4h")
        base, higher = timing.base_break > 0, timing.higher_break > 0
        flags = {
            "all_aligned": full,
            "aligned": alignment.aligned & ~full,
            "conflicted": ~alignment.aligned,
            "right_zone": timing.zone > 0,
            "wrong_zone": timing.zone < 0,
            "base_bos": base & ~base_choch,
            "base_choch": base & base_choch,
            "4h_bos": higher & ~higher_choch,
            "4h_choch": higher & higher_choch,
            "order_block": timing.blocks > 0,
            "breaker_block": timing.breaker,
            "base_break_against": timing.base_break < 0,
        }
        for timeframe, trend in zip(STRUCTURE_TIMEFRAMES, trends, strict=True):
            flags[f"{timeframe}_with"] = trend == alignment.direction
        return self.mask(flags)

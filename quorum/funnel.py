"""The funnel: how many candles of a run came how far on the way to a trade (spec C14).

A run that trades nothing, or nothing of a kind, does so without an error; what this counts says
at which step everything was lost, and which setting did it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from quorum.consensus import Band, ConsensusSettings, valid_votes
from quorum.context.zones import ZONE_POSITION, EntryZoneSettings, Zones
from quorum.settings import Settings
from quorum.signals import SignalTable
from quorum.typing import Ints

#: Steps that a side takes, in order, and what a reader calls them.
STEPS = {
    "voted": "with a vote",
    "valid": "with a valid vote",
    "quorum": "with a quorum",
    "signals": "over the gate",
}


class Passed(BaseModel):
    """Candles on which a side, or either of them, came so far."""

    model_config = ConfigDict(frozen=True)

    voted: int = 0
    valid: int = 0
    quorum: int = 0
    signals: int = 0

    def __add__(self, other: Passed) -> Passed:
        return Passed(**{step: getattr(self, step) + getattr(other, step) for step in STEPS})


class HeadPassed(BaseModel):
    """Candles on which one head was there, voted, and voted validly (spec C2)."""

    model_config = ConfigDict(frozen=True)

    available: int = 0
    voted: int = 0
    valid: int = 0

    def __add__(self, other: HeadPassed) -> HeadPassed:
        return HeadPassed(
            available=self.available + other.available,
            voted=self.voted + other.voted,
            valid=self.valid + other.valid,
        )


class Funnel(BaseModel):
    """What came how far, all pairs together.

    Attributes
    ----------
    candles, tradable : int
        Candles of the run; those on which a trade could have been entered.
    either, long, short : Passed
        Tradable candles on which any side came so far, and by side.
    heads : mapping of head name to HeadPassed
    bands : mapping of band name to int
        Signals by confidence band.
    zones : mapping to int
        Signals by where they stand in the dealing range (spec Z1): the right zone for their
        side, equilibrium, the wrong zone, or not known.
    accepted, refused : mapping to int
        Entries the host asked for: accepted ones by tag, refused ones by reason code.
    silent : tuple of str
        What never passed though it was there, one sentence each.
    """

    model_config = ConfigDict(frozen=True)

    candles: int = 0
    tradable: int = 0
    either: Passed = Passed()
    long: Passed = Passed()
    short: Passed = Passed()
    heads: dict[str, HeadPassed] = {}
    bands: dict[str, int] = {}
    zones: dict[str, int] = {}
    accepted: dict[str, int] = {}
    refused: dict[str, int] = {}
    silent: tuple[str, ...] = ()

    @property
    def asked(self) -> int:
        """Entries the host asked for."""
        return sum(self.accepted.values()) + sum(self.refused.values())

    def steps(self) -> Iterator[tuple[str, int, int | None, int | None]]:
        """Yield step by step its name, the candles that came so far, and those per side."""
        yield "candles", self.candles, None, None
        yield "tradable", self.tradable, None, None
        for step, name in STEPS.items():
            either, long, short = (
                getattr(side, step) for side in (self.either, self.long, self.short)
            )
            yield name, either, long, short
        yield "asked for", self.asked, None, None
        for reason, count in sorted(self.refused.items(), key=lambda item: -item[1]):
            yield f"refused: {reason}", count, None, None
        yield "accepted", sum(self.accepted.values()), None, None

    def line(self) -> str:
        """Say all steps in one line."""
        return ", ".join(f"{name} {count:,}" for name, count, _, _ in self.steps())

    def shares(self) -> Iterator[str]:
        """Say how the signals divide over bands and over the dealing range."""
        for kind, counts in (("bands", self.bands), ("dealing range", self.zones)):
            total = sum(counts.values())
            if total:
                parts = (f"{name.replace('_', ' ')} {n / total:.0%}" for name, n in counts.items())
                yield f"{kind} of the signals: {', '.join(parts)}"


def count(table: SignalTable, settings: Settings, first: int = 0) -> Funnel:
    """Count what came how far in the signals of one pair.

    Parameters
    ----------
    table : SignalTable
    settings : Settings
        Those the signals were decided with.
    first : int, default 0
        Row of the first candle of the run; those before it are its history.
    """
    rows = np.flatnonzero(table.tradable[first:]) + first
    votes, entry = table.votes, table.entry[rows]
    direction = np.where(votes.available, votes.direction, 0)[rows]
    valid = valid_votes(votes, settings.consensus)[rows]
    side = table.consensus.direction[rows]

    def passed(*signs: int) -> Passed:
        return Passed(
            voted=int(np.isin(direction, signs).any(axis=1).sum()),
            valid=int(np.isin(valid, signs).any(axis=1).sum()),
            quorum=int(np.isin(side, signs).sum()),
            signals=int(np.isin(entry, signs).sum()),
        )

    band = table.band[rows][entry != 0]
    return Funnel(
        candles=max(len(table.time) - first, 0),
        tradable=len(rows),
        either=passed(1, -1),
        long=passed(1),
        short=passed(-1),
        heads={
            head: HeadPassed(
                available=int(votes.available[rows, h].sum()),
                voted=int((direction[:, h] != 0).sum()),
                valid=int((valid[:, h] != 0).sum()),
            )
            for h, head in enumerate(votes.heads)
        },
        zones=_zones(table, rows[entry != 0], settings.context_of(Zones)),
        bands={b.name.lower(): int((band == b).sum()) for b in Band if b > Band.INSUFFICIENT},
    )


def _zones(table: SignalTable, rows: Ints, edges: EntryZoneSettings) -> dict[str, int]:
    """Count the signals of some rows by their place in the dealing range."""
    position = table.columns.get(ZONE_POSITION, np.full(len(table.time), np.nan))[rows]
    long = table.entry[rows] > 0
    right = np.where(long, position < edges.discount, position > edges.premium)
    wrong = np.where(long, position > edges.premium, position < edges.discount)
    known = np.isfinite(position)
    return {
        "right zone": int(right.sum()),
        "equilibrium": int((known & ~right & ~wrong).sum()),
        "wrong zone": int(wrong.sum()),
        "not known": int((~known).sum()),
    }


def gather(
    parts: list[Funnel],
    accepted: Mapping[str, int],
    refused: Mapping[str, int],
    consensus: ConsensusSettings,
    sides: tuple[str, ...] = ("long", "short"),
) -> Funnel:
    """Put the pairs together, with what became of the entries asked for, and say what is missing.

    Parameters
    ----------
    parts : list of Funnel
        One per pair.
    accepted, refused : mapping to int
        Entries by tag; refusals by reason code.
    consensus : ConsensusSettings
    sides : tuple of str, default both
        Those that can be traded; spot markets know no shorts.
    """
    heads: dict[str, HeadPassed] = {}
    bands: Counter[str] = Counter()
    zones: Counter[str] = Counter()
    for part in parts:
        bands.update(part.bands)
        zones.update(part.zones)
        for name, head in part.heads.items():
            heads[name] = heads.get(name, HeadPassed()) + head
    whole = Funnel(
        candles=sum(p.candles for p in parts),
        tradable=sum(p.tradable for p in parts),
        either=sum((p.either for p in parts), Passed()),
        long=sum((p.long for p in parts), Passed()),
        short=sum((p.short for p in parts), Passed()),
        heads=heads,
        bands=dict(bands),
        zones=dict(zones),
        accepted=dict(accepted),
        refused=dict(refused),
    )
    return whole.model_copy(update={"silent": tuple(_silent(whole, consensus, sides))})


def _silent(f: Funnel, consensus: ConsensusSettings, sides: tuple[str, ...]) -> Iterator[str]:
    """Yield a sentence for every class that never passed a step others or it had come to."""
    if f.candles and not f.tradable:
        yield f"none of {f.candles:,} candles was tradable"
        return
    yield from _silent_heads(f, consensus)
    for side in sides:
        yield from _silent_side(side, getattr(f, side), f.tradable, consensus)
    signals = f.either.signals
    if signals:
        for band, number in f.bands.items():
            if not number:
                yield f"none of {signals:,} signals was in the {band} band"
        yield from _silent_entries(f, signals)


def _silent_heads(f: Funnel, consensus: ConsensusSettings) -> Iterator[str]:
    needed = _needed(consensus)
    absent = [name for name, head in f.heads.items() if not head.available]
    if absent:
        yield f"abstained on every candle: {', '.join(absent)}"
    for name, head in f.heads.items():
        if head.available and not head.voted:
            yield f"head {name} never voted"
        elif head.voted and not head.valid:
            yield f"head {name} voted on {head.voted:,} candles, never validly ({needed})"


def _silent_side(
    side: str, passed: Passed, tradable: int, consensus: ConsensusSettings
) -> Iterator[str]:
    """Say at which step the last candle of a side was lost."""
    if not tradable:
        return
    if not passed.voted:
        yield f"no head ever voted {side}"
    elif not passed.valid:
        yield f"no {side} vote was valid on {passed.voted:,} candles ({_needed(consensus)})"
    elif not passed.quorum:
        counted = ", consensus.effective counts heads that agree as fewer" * consensus.effective
        yield (
            f"valid {side} votes on {passed.valid:,} candles, never a quorum "
            f"(consensus.quorum {consensus.quorum} or {consensus.quorum_share:g} of those "
            f"available{counted})"
        )
    elif not passed.signals:
        yield (
            f"a {side} quorum on {passed.quorum:,} candles, none over the gate "
            f"(consensus.gate {consensus.gate:g}, consensus.medium {consensus.medium:g})"
        )


def _silent_entries(f: Funnel, signals: int) -> Iterator[str]:
    if not f.asked:
        yield f"{signals:,} signals, and no entry was asked for"
    elif not f.accepted:
        reason, number = max(f.refused.items(), key=lambda item: item[1])
        yield f"all {f.asked:,} entries asked for were refused, {number:,} of them for {reason}"


def _needed(consensus: ConsensusSettings) -> str:
    read = " as hit rates, consensus.calibrated" if consensus.calibrated else ""
    return (
        f"consensus.min_probability {consensus.min_probability:g}, "
        f"consensus.min_confidence {consensus.min_confidence:g}{read}"
    )


def funnel_from(content: Any) -> Funnel | None:
    """Read a funnel back, None where none was kept.

    Raises
    ------
    ValueError
        If it is none.
    """
    return None if content is None else Funnel.model_validate(content)

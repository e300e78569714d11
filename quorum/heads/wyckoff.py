"""H6 wyckoff: springs, UTADs, signs of strength and weakness, and the phase of the cycle."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np

from quorum.features.series import last_row
from quorum.features.table import Features
from quorum.features.wyckoff import (
    ACCUMULATION,
    MARKUP,
    REACCUMULATION,
    STAGE_C,
    STAGE_D,
    STAGE_E,
)
from quorum.features.wyckoff_events import CLIMAX_BREAK, DRY_BREAK, SIGN
from quorum.heads.base import Head, HeadSettings, Votes, make_votes
from quorum.market import Market
from quorum.typing import Bools, Floats, Ints

#: Reason codes by ``wyckoff_event`` and ``wyckoff_phase``.
EVENTS = {
    DRY_BREAK: "spring",
    CLIMAX_BREAK: "terminal_shakeout",
    SIGN: "sign_of_strength",
    -DRY_BREAK: "upthrust",
    -CLIMAX_BREAK: "utad",
    -SIGN: "sign_of_weakness",
}
PHASES = {
    ACCUMULATION: "accumulation",
    REACCUMULATION: "reaccumulation",
    MARKUP: "markup",
    -ACCUMULATION: "distribution",
    -REACCUMULATION: "redistribution",
    -MARKUP: "markdown",
}


class WyckoffConstants(NamedTuple):
    """What each event and phase is worth (spec H6)."""

    spring: float = 0.90  # confidence of a spring
    utad: float = 0.90  # confidence of a UTAD
    sign: float = 0.75  # confidence of a sign of strength or weakness
    mirror_break: float = 0.75  # confidence of a terminal shakeout or a plain upthrust
    phase: float = 0.70  # confidence of a phase alone
    phase_stage: int = 3  # earliest stage in which a phase alone votes [1-5 for A-E]
    operator_factor: float = 1.05  # factor on confidence where the operator agrees
    operator_agrees: float = 0.10  # least operator reading that agrees
    max_confidence: float = 0.95  # highest confidence
    hold: int = 12  # how long an event votes [candles]
    decay: float = 0.015  # confidence an event loses per candle [share]
    event_probability: float = 0.68  # probability of an event without further evidence
    phase_probability: float = 0.62  # probability of a phase without further evidence
    evidence: float = 0.12  # probability added at full evidence in favour


class _Held(NamedTuple):
    """The last event at each candle, while it counts."""

    code: Floats
    age: Ints
    live: Bools


def _hold(event: Floats, stop: Floats, close: Floats, hold: int) -> _Held:
    """Carry events forward until refuted by a close, replaced, or older than ``hold``."""
    at = last_row(event != 0)
    age = np.arange(len(event)) - at
    code = np.where(at >= 0, event[np.maximum(at, 0)], 0.0)
    refuted = (code != 0) & (np.sign(code) * (close - stop[np.maximum(at, 0)]) < 0)
    live = (code != 0) & (age <= hold) & (last_row(refuted) < at)
    return _Held(code, age, live)


class WyckoffHead(Head[HeadSettings]):
    """Votes with the last event at the trading range, else with its phase (spec H6).

    1. An event votes its confidence - spring and UTAD 0.90, signs and the mirror forms of spring
       and UTAD 0.75 - losing ``decay`` per candle for ``hold`` candles, unless a close refutes
       it or a new event replaces it.
    2. A phase votes ``phase`` from ``phase_stage`` on: accumulation and re-accumulation once
       support was tested, distribution and redistribution once resistance was, markup and
       markdown while the range stays left. It never overrules a live event the other way.
    3. An operator reading that agrees multiplies the confidence.
    4. Probability: a base for events and phases, plus ``evidence`` scaled by how far all the
       evidence of the range (``wyckoff_lean``) speaks for (or against) the direction.

    It is available once there have been enough swings to tell a range.
    """

    name: ClassVar[str] = "wyckoff"
    weight: ClassVar[float] = 0.13
    reasons: ClassVar[tuple[str, ...]] = (
        *EVENTS.values(),
        *PHASES.values(),
        "stage_c",
        "stage_d",
        "stage_e",
        "operator_agrees",
    )
    Settings = HeadSettings
    constants: WyckoffConstants = WyckoffConstants()

    def vote(self, market: Market, features: Features) -> Votes:
        """Return +1 / -1 with a live event or a phase that may vote."""
        s = self.constants
        held = _hold(
            features["wyckoff_event"], features["wyckoff_event_stop"], market.candles.close, s.hold
        )
        phase, stage = features["wyckoff_phase"], features["wyckoff_stage"]
        speaks = (phase != 0) & (stage >= s.phase_stage)
        event_side = np.where(held.live, np.sign(held.code), 0.0)
        phase_side = np.where(speaks, np.sign(phase), 0.0)
        direction = np.where(event_side != 0, event_side, phase_side)
        agrees_phase = (phase_side != 0) & (phase_side == direction)

        base = self._event_confidence(held.code) * (1.0 - s.decay * held.age)
        base = np.where(event_side != 0, base, 0.0)
        confidence = np.maximum(base, np.where(agrees_phase, s.phase, 0.0))
        operator = np.nan_to_num(features["wyckoff_operator"])
        agrees = direction * operator >= s.operator_agrees
        confidence = np.where(agrees, confidence * s.operator_factor, confidence)
        lean = np.nan_to_num(features["wyckoff_lean"])
        probability = np.where(event_side != 0, s.event_probability, s.phase_probability)
        probability = probability + s.evidence * np.clip(direction * lean, -1.0, 1.0)
        flags = self._named(np.where(held.live, held.code, 0.0), np.where(agrees_phase, phase, 0.0))
        for letter, number in (("c", STAGE_C), ("d", STAGE_D), ("e", STAGE_E)):
            flags[f"stage_{letter}"] = agrees_phase & (stage == number)
        flags["operator_agrees"] = agrees
        # Fewer than four swings tell no range, and no event is told without volume.
        available = features.swings["base"].at_least(4) & np.isfinite(features["volume_ratio"])
        return make_votes(
            direction,
            probability,
            np.minimum(confidence, s.max_confidence),
            self.mask(flags),
            available,
            self._readings(features, held),
        )

    def _event_confidence(self, code: Floats) -> Floats:
        """Return the confidence of each event at its candle."""
        s = self.constants
        kind = np.abs(code)
        # A dry break is the spec's event below a range, a climax break the one above it.
        named = np.where(code > 0, kind == DRY_BREAK, kind == CLIMAX_BREAK)
        strong = np.where(code > 0, s.spring, s.utad)
        return np.where(kind == SIGN, s.sign, np.where(named, strong, s.mirror_break))

    def _named(self, event: Floats, phase: Floats) -> dict[str, Bools]:
        """Return where each event and each phase speaks, by reason code."""
        flags: dict[str, Bools] = {}
        for codes, value in ((EVENTS, event), (PHASES, phase)):
            for code, reason in codes.items():
                flags[reason] = value == code
        return flags

    def _readings(self, features: Features, held: _Held) -> dict[str, Floats]:
        """Return the range, its phase and what happened at it last."""
        names = ("phase", "stage", "event", "stopping", "operator", "lean", "target")
        ranges = ("top", "bottom", "length", "touches", "position")
        readings = {name: features[f"wyckoff_{name}"] for name in (*names, *ranges)}
        readings["event_age"] = np.where(held.code != 0, held.age, np.nan)
        return readings

"""The parts of a vintage: what they are called in the store, and the classes they tell apart."""

from __future__ import annotations

from quorum.context.regime import REGIMES

#: Models of the market; those of ensemble members follow ``MEMBER``.
REGIME, SIGNAL, ENSEMBLE, MEMBER = "regime", "signal", "ensemble", "member_"
#: Classes of the barrier labels (spec M2), and of the regimes (spec T2).
SIGNAL_CLASSES = (-1, 0, 1)
REGIME_CLASSES = tuple(range(len(REGIMES)))
STACK_FILE = f"{ENSEMBLE}/stack.json"
#: Kind of trees that generates signals; as a member of the ensemble it is not fitted twice.
SIGNAL_MEMBER = "xgboost"
REGIME_MEMBER = "lightgbm"


def part_of(member: str) -> str:
    """Return the part that holds a member of the ensemble."""
    return SIGNAL if member == SIGNAL_MEMBER else f"{MEMBER}{member}"

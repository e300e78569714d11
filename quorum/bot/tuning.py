"""Hyperopt parameters over configured values.

A parameter that is being optimised, or that a parameter file has moved away from its default,
is in force; else the configuration's value is.
"""

from __future__ import annotations

from typing import Any

from freqtrade.strategy import IStrategy
from freqtrade.strategy.parameters import BaseParameter

from quorum.consensus import ConsensusSettings
from quorum.settings import Settings


def _in_force(parameter: BaseParameter, configured: Any) -> Any:
    tuned = parameter.in_space or parameter.value != parameter.default
    return parameter.value if tuned else configured


def tuned_consensus(strategy: IStrategy, configured: ConsensusSettings) -> ConsensusSettings:
    """Return the consensus thresholds in force."""
    return configured.model_copy(
        update={
            "quorum": _in_force(strategy.quorum_heads, configured.quorum),
            "min_probability": _in_force(strategy.min_probability, configured.min_probability),
            "min_confidence": _in_force(strategy.min_confidence, configured.min_confidence),
            "gate": _in_force(strategy.gate, configured.gate),
        }
    )


def tuned_weights(strategy: IStrategy, settings: Settings) -> dict[str, float]:
    """Return the head weights in force, by head name."""
    return {
        name: _in_force(getattr(strategy, f"weight_{name}"), configured)
        for name, configured in settings.head_weights().items()
    }

"""Hyperopt parameters over configured values.

A parameter that is being optimised, or that a parameter file has moved away from the default,
is in force; else the configuration's value is.
"""

from __future__ import annotations

from typing import Any

from freqtrade.strategy import IStrategy

from quorum.consensus import ConsensusSettings
from quorum.settings import Settings

#: Consensus settings that have a parameter, by the parameter's name.
CONSENSUS = {
    "quorum_heads": "quorum",
    "min_probability": "min_probability",
    "min_confidence": "min_confidence",
    "gate": "gate",
}
DEFAULTS = Settings()


def _in_force(strategy: IStrategy, name: str, configured: Any, default: Any) -> Any:
    parameter = getattr(strategy, name)
    tuned = parameter.in_space or parameter.value != default
    return parameter.value if tuned else configured


def tuned_consensus(strategy: IStrategy, configured: ConsensusSettings) -> ConsensusSettings:
    """Return the consensus thresholds in force."""
    update = {
        field: _in_force(
            strategy, name, getattr(configured, field), getattr(DEFAULTS.consensus, field)
        )
        for name, field in CONSENSUS.items()
    }
    return configured.model_copy(update=update)


def tuned_weights(strategy: IStrategy, settings: Settings) -> dict[str, float]:
    """Return the head weights in force, by head name."""
    defaults = DEFAULTS.head_weights()
    return {
        name: _in_force(strategy, f"weight_{name}", configured, defaults[name])
        for name, configured in settings.head_weights().items()
    }

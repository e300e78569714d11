"""Hyperopt parameters of the strategy, and the settings they put in force.

A parameter is a setting, or a factor on settings. It starts at the configuration's value; a
parameter file or an optimiser moves it from there. Nothing here is read while indicators are
computed: an epoch of hyperopt decides and manages trades anew from the same votes.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from freqtrade.exceptions import OperationalException
from freqtrade.strategy import IStrategy
from freqtrade.strategy.parameters import BaseParameter

from quorum.errors import SettingsError
from quorum.settings import Settings, load_settings

#: Parameters that are a setting, with its path in the ``quorum`` section.
SETTINGS: dict[str, tuple[str, ...]] = {
    "quorum_heads": ("consensus", "quorum"),
    "min_probability": ("consensus", "min_probability"),
    "min_confidence": ("consensus", "min_confidence"),
    "gate": ("consensus", "gate"),
    "stop_atr_multiple": ("exits", "stop", "atr_multiple"),
    "stop_max_risk": ("exits", "stop", "max_risk"),
    "breakeven_at": ("exits", "management", "breakeven_at"),
    "min_first_target": ("exits", "ladder", "min_first"),
    "time_stop": ("exits", "management", "time_stop"),
}
#: Parameters that are a factor on the weights of a group of heads. A head in no group, and one
#: that this version does not have, is left alone.
WEIGHT_GROUPS: dict[str, tuple[str, ...]] = {
    "weight_of_indicators": ("technical", "volume", "rules"),
    "weight_of_price_action": ("ict", "wyckoff", "harmonic", "structure"),
    "weight_of_crowd": ("sentiment", "crypto"),
    "weight_of_models": ("signal", "ensemble"),
}
#: Factor on the R:R of every band.
TARGET_SCALE = "target_scale"
FACTORS = (TARGET_SCALE, *WEIGHT_GROUPS)


class Tuning:
    """The parameters of a strategy over its configured settings.

    Parameters
    ----------
    strategy : IStrategy
        Its parameters are copied from the class and set to the configuration's values.
    configured : Settings
    """

    def __init__(self, strategy: IStrategy, configured: Settings) -> None:
        self._configured = configured
        self._parameters: dict[str, BaseParameter] = {}
        self._starts: dict[str, Any] = {}
        self._found: tuple[tuple[Any, ...], Settings] | None = None
        for name in (*SETTINGS, *FACTORS):
            shared = getattr(type(strategy), name, None)
            if not isinstance(shared, BaseParameter):
                continue
            parameter = copy.copy(shared)
            parameter.value = _configured_value(configured, name)
            setattr(strategy, name, parameter)
            self._parameters[name] = parameter
            self._starts[name] = parameter.value

    def settings(self) -> Settings:
        """Return the settings in force.

        A parameter that stands where it started leaves the configuration's value as written, with
        more decimals than the parameter holds.

        Raises
        ------
        OperationalException
            If a parameter has a value its setting does not allow.
        """
        values = {name: parameter.value for name, parameter in self._parameters.items()}
        key = tuple(values.values())
        if self._found is None or self._found[0] != key:
            moved = {name: v for name, v in values.items() if v != self._starts[name]}
            self._found = key, _moved(self._configured, moved)
        return self._found[1]


def _configured_value(settings: Settings, name: str) -> Any:
    """Return the configuration's value of a parameter; a factor starts at 1."""
    value: Any = settings
    for part in SETTINGS.get(name, ()):
        value = getattr(value, part)
    return value if name in SETTINGS else 1.0


def _moved(settings: Settings, values: dict[str, Any]) -> Settings:
    """Return settings with parameters laid over them."""
    if not values:
        return settings
    section = settings.model_dump()
    for name, value in values.items():
        if name in SETTINGS:
            *path, last = SETTINGS[name]
            group = section
            for part in path:
                group = group[part]
            group[last] = value
        elif name == TARGET_SCALE:
            target = section["exits"]["target"]
            target["risk_reward"] = tuple(ratio * value for ratio in target["risk_reward"])
        else:
            _scale_weights(section["weights"], WEIGHT_GROUPS[name], value)
    try:
        return load_settings(section)
    except SettingsError as error:
        raise OperationalException(f"hyperopt parameters {values}: {error}") from error


def _scale_weights(weights: dict[str, float], heads: Iterable[str], factor: float) -> None:
    for head in heads:
        if head in weights:
            weights[head] = min(1.0, weights[head] * factor)

"""Values of the configuration or of a parameter file that silently replace the strategy's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from quorum.doctor.base import Finding, Level, Override, Setup

#: What breaks when an attribute is not what the strategy's code says.
CONSEQUENCES: dict[str, tuple[Level, str]] = {
    "stoploss": (Level.WARNING, "every trade begins with this stop, whatever its signal says"),
    "minimal_roi": (Level.WARNING, "trades end at this profit, before their targets"),
    "timeframe": (Level.HINT, "candles of another length than the strategy was measured on"),
    "trailing_stop": (Level.PROBLEM, "the host trails the stop by its own rule"),
    "trailing_stop_positive": (Level.WARNING, "the host may trail the stop by its own rule"),
    "trailing_stop_positive_offset": (Level.HINT, "acts only with trailing_stop"),
    "trailing_only_offset_is_reached": (Level.HINT, "acts only with trailing_stop"),
    "use_custom_stoploss": (Level.PROBLEM, "no trade gets the stop of its signal"),
    "use_custom_roi": (Level.PROBLEM, "the last target is never taken"),
    "process_only_new_candles": (
        Level.WARNING,
        "all heads are computed anew in every loop, on candles that have not closed",
    ),
    "use_exit_signal": (
        Level.PROBLEM,
        "reversals, time exits and the closing by the guards are all ignored",
    ),
    "exit_profit_only": (Level.PROBLEM, "the guards cannot close a trade that loses"),
    "exit_profit_offset": (Level.HINT, "acts only with exit_profit_only"),
    "ignore_roi_if_entry_signal": (Level.WARNING, "the last target waits while a signal stands"),
    "position_adjustment_enable": (Level.PROBLEM, "no rung of the ladder is ever taken"),
    "max_entry_position_adjustment": (Level.HINT, "Quorum never adds to a trade"),
    "startup_candle_count": (
        Level.PROBLEM,
        "columns of the first candles are not what they are in a long history",
    ),
    "unfilledtimeout": (
        Level.WARNING,
        "entries that wait for a pullback and resting targets are cancelled early",
    ),
    "ignore_buying_expired_candle_after": (Level.HINT, "late signals are dropped"),
    "disable_dataframe_checks": (Level.WARNING, "the host no longer checks the columns"),
    "order_time_in_force": (Level.WARNING, "orders may not rest in the book as Quorum expects"),
}
#: Set in every configuration, and looked at by checks of their own.
EXPECTED = frozenset({"order_types", "stake_currency", "stake_amount", "max_open_trades"})


def overridden(setup: Setup) -> Iterator[Finding]:
    """Name every attribute of the strategy that something outside its code has replaced."""
    if setup.strategy is None:
        yield Finding(
            Level.PROBLEM,
            f"the strategy cannot be loaded: {setup.strategy_error}",
            f"strategy = {setup.value('strategy')!r} ({setup.source('strategy')})",
            "run `quorum init`, or set strategy and strategy_path",
        )
        return
    found = [o for o in setup.strategy.overrides if o.name not in EXPECTED]
    for override in found:
        yield _finding(setup, override)
    if not found:
        yield Finding(Level.OK, "the configuration overrides nothing of the strategy")


def _finding(setup: Setup, override: Override) -> Finding:
    name = override.name
    level, consequence = CONSEQUENCES.get(name, (Level.HINT, "the strategy says otherwise"))
    if name == "startup_candle_count" and override.effective > override.code:
        level, consequence = Level.HINT, "more history than needed is asked for"
    if name == "stoploss" and _stop_in_the_way(setup, override.effective):
        level = Level.PROBLEM
        consequence += f", which may be up to {_widest_stop(setup):.1%} away"
    if name in setup.config:
        source = setup.source(name)
        fix = f"remove {name} from {source}"
    else:
        source = "parameter file"
        fix = "remove it from the parameter file beside the strategy"
    where = f"{name} = {override.effective!r} ({source}), strategy: {override.code!r}"
    return Finding(level, f"{name} is overridden: {consequence}", where, fix)


def _widest_stop(setup: Setup) -> float:
    """Return the widest stop a signal may have, as the host counts it: of the stake."""
    return setup.settings.exits.stop.max_risk / 100 * setup.settings.leverage


def _stop_in_the_way(setup: Setup, stoploss: Any) -> bool:
    return isinstance(stoploss, int | float) and abs(stoploss) < _widest_stop(setup)


def strategy_file(setup: Setup) -> Iterator[Finding]:
    """Compare the strategy file with the one that belongs to this version of the package."""
    if setup.strategy is None:
        return
    path, ours = setup.strategy.file, setup.shipped_strategy
    if ours is None or path.name != ours.name:
        yield Finding(
            Level.HINT,
            "a strategy of your own runs; only what it shares with Quorum's is checked",
            str(path),
        )
    elif path.read_bytes() != ours.read_bytes():
        yield Finding(
            Level.WARNING,
            f"the strategy file is not that of the installed version {setup.strategy.version}",
            str(path),
            "quorum init --force (yours is kept beside it as .bak)",
        )
    else:
        yield Finding(Level.OK, "the strategy file is that of the installed version", str(path))


def parameter_file(setup: Setup) -> Iterator[Finding]:
    """Name what a parameter file of an optimisation changes."""
    if setup.strategy is None:
        return
    path = setup.strategy.file.with_suffix(".json")
    if not path.is_file():
        yield Finding(Level.OK, "no parameter file lies beside the strategy")
        return
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        spaces = {name: dict(values) for name, values in content["params"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        yield Finding(
            Level.PROBLEM,
            f"the parameter file cannot be read: {type(error).__name__}: {error}",
            str(path),
            "remove it, or write it again with `freqtrade hyperopt`",
        )
        return
    for space, values in spaces.items():
        if values:
            listed = ", ".join(f"{name}={value}" for name, value in values.items())
            yield Finding(
                Level.WARNING,
                f"an optimisation's {space} parameters override code and configuration",
                f"{path}: {listed}",
                "keep it only if `quorum tune` judged it better on data it was not tuned on",
            )

"""What a check is told, what it answers, and the registry of all checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from quorum.doctor_settings import DoctorSettings
from quorum.settings import Settings


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    HINT = "hint"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One answer of a check.

    Attributes
    ----------
    level : Level
    what : str
        What was found, in words.
    where : str
        Path and value, or file; never a secret.
    fix : str
        What to do about it; empty where there is nothing to do.
    check : str
        Name of the check; the registry fills it in.
    """

    level: Level
    what: str
    where: str = ""
    fix: str = ""
    check: str = ""


class Layer(NamedTuple):
    """One source of the configuration; later layers win.

    Attributes
    ----------
    name : str
        File name, or ``environment``.
    path : Path or None
    content : dict
    """

    name: str
    path: Path | None
    content: Mapping[str, Any]


class Span(NamedTuple):
    """One candle series as a check sees it; ``rows`` is 0 where there is none."""

    pair: str
    role: str
    timeframe: str
    candle_type: str
    rows: int
    first: float
    last: float


class Override(NamedTuple):
    """An attribute of the strategy that is not what its code says."""

    name: str
    code: Any
    effective: Any


@dataclass(frozen=True)
class Strategy:
    """The strategy as the host loads it.

    Attributes
    ----------
    name, version : str
    file : Path
    values : mapping
        Effective values by attribute.
    overrides : tuple of Override
    """

    name: str
    version: str
    file: Path
    values: Mapping[str, Any]
    overrides: tuple[Override, ...] = ()


class Exchange(Protocol):
    """What the exchange answers; None is *not known*, for example without a connection."""

    @property
    def name(self) -> str:
        """Return the exchange's name."""

    def candle_limit(self, timeframe: str, candle_type: str) -> int:
        """Return the candles of one request."""

    def clock_offset(self) -> float | None:
        """Return the exchange's time minus ours, milliseconds."""

    def key_rights(self) -> Mapping[str, Any] | None:
        """Return the rights of the configured key under the exchange's own names."""

    def smallest_orders(self, pairs: Iterable[str]) -> Mapping[str, float] | None:
        """Return the smallest position value by pair, quote currency."""

    def listed(self) -> frozenset[str] | None:
        """Return the pairs the exchange lists."""


@dataclass(frozen=True)
class Setup:
    """Everything the checks look at.

    Attributes
    ----------
    config : mapping
        The merged freqtrade configuration.
    layers : tuple of Layer
        What it was merged from.
    settings : Settings
        The ``quorum`` section.
    user_data, datadir : Path
    strategy : Strategy or None
        None where it could not be loaded; then ``strategy_error`` says why.
    shipped_strategy : Path or None
        The strategy file of the installed version.
    series : tuple of Span
        Every series the pairs of the whitelist could read, with what is on disk.
    exchange : Exchange or None
        None where the exchange is not to be asked.
    databases : mapping
        URL by configuration path, in the clear: check them, never print them.
    requirements : mapping
        Version range by package, ``python`` among them.
    limits : DoctorSettings
    now : float
        Seconds since the epoch.
    """

    config: Mapping[str, Any]
    settings: Settings
    user_data: Path
    datadir: Path
    layers: tuple[Layer, ...] = ()
    strategy: Strategy | None = None
    strategy_error: str = ""
    shipped_strategy: Path | None = None
    series: tuple[Span, ...] = ()
    exchange: Exchange | None = None
    databases: Mapping[str, str] = field(default_factory=dict)
    requirements: Mapping[str, str] = field(default_factory=dict)
    limits: DoctorSettings = field(default_factory=DoctorSettings)
    now: float = 0.0

    @property
    def futures(self) -> bool:
        """Whether perpetual contracts are traded."""
        return str(self.config.get("trading_mode", "spot")) == "futures"

    @property
    def dry_run(self) -> bool:
        """Whether orders are simulated."""
        return bool(self.config.get("dry_run", True))

    @property
    def pairs(self) -> tuple[str, ...]:
        """The pairs the configuration lists."""
        exchange = self.config.get("exchange")
        listed = exchange.get("pair_whitelist") if isinstance(exchange, Mapping) else None
        return tuple(map(str, listed)) if isinstance(listed, list) else ()

    def value(self, path: str, default: Any = None) -> Any:
        """Return a configured value by its dotted path."""
        return at_path(self.config, path, default)

    def source(self, path: str) -> str:
        """Return the name of the last layer that sets a dotted path."""
        missing = object()
        setting = [x.name for x in self.layers if at_path(x.content, path, missing) is not missing]
        return setting[-1] if setting else "not set"

    def place(self, path: str) -> str:
        """Return path, value and source of a configured value that is no secret."""
        return f"{path} = {self.value(path)!r} ({self.source(path)})"


def at_path(content: Any, path: str, default: Any = None) -> Any:
    """Return the value at a dotted path of nested groups, ``default`` where there is none."""
    for name in path.split("."):
        if not isinstance(content, Mapping) or name not in content:
            return default
        content = content[name]
    return content


Check = Callable[[Setup], Iterable[Finding]]

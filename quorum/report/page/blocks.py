"""What a section of the page is made of, and how its numbers are written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeAlias

from quorum.evidence.bootstrap import Interval

#: Stands for a number that is not known.
UNKNOWN = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes
    ----------
    text : str
    tone : {"", "good", "bad", "weak"}
    bar : float or None
        Length of a bar behind the text, -1 to 1 of its half of the cell.
    """

    text: str
    tone: str = ""
    bar: float | None = None


@dataclass(frozen=True)
class Table:
    """Rows under headings; the first column names the row, the others hold numbers.

    Attributes
    ----------
    headings : sequence of (str, str)
        Heading and unit, either may be empty.
    rows : sequence of sequences of Cell or str
    caption : str
        One sentence that says what the table says.
    """

    headings: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[Cell | str]]
    caption: str = ""
    words: frozenset[int] = frozenset({0})
    kind: ClassVar[str] = "table"

    def cells(self) -> list[list[Cell]]:
        """Return the rows with every text in a cell."""
        return [[Cell(c) if isinstance(c, str) else c for c in row] for row in self.rows]


@dataclass(frozen=True)
class Chart:
    """A plotly figure and the one sentence that says what it says."""

    name: str
    figure: Any
    sentence: str
    height: int = 320
    kind: ClassVar[str] = "chart"


@dataclass(frozen=True)
class Text:
    """A paragraph; ``tone`` ``"note"`` for a caveat."""

    text: str
    tone: str = ""
    kind: ClassVar[str] = "text"


@dataclass(frozen=True)
class Points:
    """Sentences, one below the other."""

    texts: Sequence[str]
    kind: ClassVar[str] = "points"


@dataclass(frozen=True)
class Check:
    """One reason to trust a run or to doubt it.

    Attributes
    ----------
    verdict : {"yes", "no", "unclear", "unknown"}
    """

    question: str
    verdict: str
    answer: str


@dataclass(frozen=True)
class Checks:
    """Reasons to trust a run or to doubt it."""

    checks: Sequence[Check]
    kind: ClassVar[str] = "checks"


@dataclass(frozen=True)
class Choice:
    """Blocks of which one is shown at a time, by label."""

    name: str
    options: Sequence[tuple[str, Sequence[Block]]]
    kind: ClassVar[str] = "choice"


@dataclass(frozen=True)
class Months:
    """Returns by month: year, its twelve months, and the whole year (shares, NaN for none)."""

    years: Sequence[tuple[int, Sequence[float], float]]
    largest: float
    caption: str
    kind: ClassVar[str] = "months"


@dataclass(frozen=True)
class Trades:
    """The list of trades, drawn in the browser."""

    count: int
    kind: ClassVar[str] = "trades"


@dataclass(frozen=True)
class Lines:
    """Series over time that a page draws with a small library, light enough to be live.

    Attributes
    ----------
    name : str
    sentence : str
        What it says.
    time : sequence of int
        Seconds since the epoch.
    series : sequence of (str, str, sequence of float or None)
        Name, colour as a variable of the style (``good``, ``bad``, ``faint``, ``third``), values.
    suffix : str
        Behind the numbers of the scale.
    band : bool
        Whether the area between the first two series is filled.
    """

    name: str
    sentence: str
    time: Sequence[int]
    series: Sequence[tuple[str, str, Sequence[float | None]]]
    suffix: str = ""
    height: int = 260
    band: bool = False
    kind: ClassVar[str] = "lines"

    def payload(self) -> dict[str, Any]:
        """Return what the script draws from."""
        return {
            "time": list(self.time),
            "names": [name for name, _, _ in self.series],
            "colours": [colour for _, colour, _ in self.series],
            "values": [list(values) for _, _, values in self.series],
            "suffix": self.suffix,
            "height": self.height,
            "band": self.band,
        }


Block: TypeAlias = Lines | Table | Chart | Text | Points | Checks | Choice | Months | Trades


@dataclass(frozen=True)
class Section:
    """A section of the page: anchor, title, and what it holds."""

    anchor: str
    title: str
    blocks: Sequence[Block] = field(default_factory=tuple)


def number(value: float, digits: int = 2, *, sign: bool = False) -> str:
    """Write a number with thousands separated and a real minus sign."""
    if math.isnan(value):
        return UNKNOWN
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    value = round(value, digits) + 0.0
    return f"{value:{'+' if sign else ''},.{digits}f}".replace("-", MINUS)


def percent(share: float, digits: int = 1, *, sign: bool = False) -> str:
    """Write a share as percent."""
    text = number(100 * share, digits, sign=sign)
    return text if text == UNKNOWN else f"{text} %"


def span(interval: Interval, digits: int = 2, *, share: bool = False, sign: bool = False) -> str:
    """Write an interval from low to high; empty where it is not known."""
    if math.isnan(interval.low):
        return ""
    scale = 100 if share else 1
    low, high = (number(scale * v, digits, sign=sign) for v in (interval.low, interval.high))
    return f"{low} to {high}{' %' if share else ''}"


def tone(value: float, neutral: float = 0.0) -> str:
    """Return the tone of a value above or below what is neutral."""
    if math.isnan(value) or value == neutral:
        return ""
    return "good" if value > neutral else "bad"


def tone_of(interval: Interval, neutral: float = 0.0) -> str:
    """Return the tone of an interval; weak where it includes what is neutral."""
    if math.isnan(interval.low) or interval.holds(neutral):
        return "weak"
    return tone(interval.estimate, neutral)


def date(ms: float, *, clock: bool = False) -> str:
    """Write a moment (milliseconds since the epoch, UTC)."""
    moment = datetime.fromtimestamp(ms / 1000, tz=UTC)
    return f"{moment:%Y-%m-%d %H:%M}" if clock else f"{moment:%Y-%m-%d}"


def duration(hours: float) -> str:
    """Write a length of time in the unit that fits."""
    if math.isnan(hours):
        return UNKNOWN
    if hours < 48:
        return f"{number(hours, 0 if hours >= 10 else 1)} h"
    return f"{number(hours / 24, 0 if hours >= 240 else 1)} days"


def counted(count: int, noun: str) -> str:
    """Write a count with its noun, ``1 trade``, ``1,206 trades``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"

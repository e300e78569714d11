"""The interface of a playbook: its columns, where it enters, and what it wants to do now."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, Literal, TypeVar

from pydantic import Field

from quorum.market import Market
from quorum.section import Section
from quorum.typing import Bools, Floats

#: How the quorum of the heads acts on a playbook's entries: they need one on their side, are
#: refused by one on the other side, or neither.
Quorate = Literal["gate", "veto", "none"]


class PlaybookSection(Section):
    """What every playbook has."""

    enabled: bool = Field(False, description="whether it trades")
    budget: float = Field(1.0, gt=0, le=5, description="factor on its sizes [1]")
    quorum: Quorate = Field(
        "none", description="entries need a quorum, are refused by one on the other side, neither"
    )


@dataclass(frozen=True)
class Lot:
    """What a playbook holds of a trade.

    Attributes
    ----------
    units : float
        In the base currency.
    price : float
        Average price paid for what is held.
    candle : int
        Opening time of the candle its last entry was ordered in, milliseconds.
    """

    units: float = 0.0
    price: float = 0.0
    candle: int = 0


NOTHING = Lot()


@dataclass(frozen=True)
class Place:
    """One pair at one moment, as a playbook decides on it.

    Attributes
    ----------
    columns : mapping of name to float
        The playbook's columns at the last closed candle.
    close : float
        The close of that candle.
    candle : int
        Opening time of the candle under way, milliseconds.
    weight : float
        The share of the equity that the pair may hold.
    equity : float
        Quote currency.
    lot : Lot
        What the playbook holds in the pair.
    """

    columns: Mapping[str, float]
    close: float
    candle: int
    weight: float
    equity: float
    lot: Lot = NOTHING


@dataclass(frozen=True)
class Wish:
    """One order a playbook wants.

    Attributes
    ----------
    units : float
        To add, negative to take out.
    tag : str
        Of the order; begins with the name of the playbook.
    price : float or None
        Limit that rests until the candle ends, None for the market.
    """

    units: float
    tag: str
    price: float | None = None


S = TypeVar("S", bound=PlaybookSection)


class Playbook(ABC, Generic[S]):
    """One way to trade, decided on closed candles.

    Attributes
    ----------
    name : str
        Also the entry tag of its trades, and what the tags of its orders begin with.
    published : tuple of str
        The names of its columns.
    supersedes : bool
        Whether a trade of the consensus ends where it enters (spec B1).
    unguarded : frozenset of str
        Reason codes of guards that its entries are not refused for, because they assume
        trades of another kind (spec A-3).
    """

    name: ClassVar[str]
    published: ClassVar[tuple[str, ...]]
    supersedes: ClassVar[bool] = False
    unguarded: ClassVar[frozenset[str]] = frozenset()
    Settings: ClassVar[type[PlaybookSection]] = PlaybookSection

    def __init__(self, settings: S) -> None:
        self.settings = settings

    @classmethod
    def unfit(cls, timeframe: str) -> str | None:
        """Return what is wrong with base candles of ``timeframe``, None where nothing is."""
        return None

    @abstractmethod
    def columns(self, market: Market) -> dict[str, Floats]:
        """Return its columns by name, each of shape (n_candles,), NaN where unknown."""

    @abstractmethod
    def enters(self, columns: Mapping[str, Floats]) -> Bools:
        """Return where it enters a pair that holds nothing, shape (n_candles,)."""

    @abstractmethod
    def weights(self, pairs: Sequence[Mapping[str, float]], held: Floats, share: float) -> Floats:
        """Return the share of the equity each pair may hold, shape (n_pairs,).

        Parameters
        ----------
        pairs : sequence of mapping
            The playbook's columns of every pair alive, at one moment.
        held : ndarray of shape (n_pairs,)
            Share of the equity it holds in each.
        share : float
            Its share of the capital.
        """

    @abstractmethod
    def wish(self, place: Place) -> Wish | None:
        """Return the one order it wants now, None for none."""

"""The interface of a playbook: its name, how the quorum acts on it, and its columns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from quorum.market import Market
from quorum.typing import Floats


class Playbook(ABC):
    """One way to trade, decided on closed candles.

    Attributes
    ----------
    name : str
        Also the entry tag of its trades.
    published : tuple of str
        The names of its columns.
    consensus : {"gate", "veto", "none"}
        Whether its entries need a quorum, are refused by one on the other side, or neither.
    """

    name: ClassVar[str]
    published: ClassVar[tuple[str, ...]]
    consensus: ClassVar[Literal["gate", "veto", "none"]]

    @abstractmethod
    def columns(self, market: Market) -> dict[str, Floats]:
        """Return its columns by name, each of shape (n_candles,), NaN where unknown."""

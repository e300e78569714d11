"""Vetoes: which candle's signal of a pair has been refused, over restarts.

One decision per signal: a bot that is started again within the candle must not take what was
refused before. A bot keeps the candle in the host's key-value store, a backtest in memory.
"""

from __future__ import annotations

from datetime import UTC, datetime

from freqtrade.persistence.key_value_store import KeyValueStore

#: The host's keys have at most 50 characters.
KEY = "quorum_veto_{}"
LONGEST = 50


class Vetoes:
    """The candle of the last refused signal, by pair.

    Attributes
    ----------
    durable : bool
        Whether they are kept in the host's database; for a running bot.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self.durable = durable
        self._candles: dict[str, int] = {}
        self._read: set[str] = set()

    def __contains__(self, pair: str) -> bool:
        return pair in self._candles

    def holds(self, pair: str, candle: int | None) -> bool:
        """Whether the signal of a candle (its opening, milliseconds) has been refused."""
        if self.durable and pair not in self._read:
            self._read.add(pair)
            stored = KeyValueStore.get_datetime_value(_key(pair))
            if stored is not None and pair not in self._candles:
                self._candles[pair] = int(stored.timestamp() * 1000)
        return candle is not None and self._candles.get(pair) == candle

    def put(self, pair: str, candle: int) -> None:
        """Remember that the signal of a candle has been refused."""
        self._candles[pair] = candle
        self._read.add(pair)
        if self.durable:
            at = datetime.fromtimestamp(candle / 1000, tz=UTC)
            KeyValueStore.store_value(_key(pair), at)

    def lift(self, pair: str) -> None:
        """Let the pair be asked for again; what is stored holds for its candle only."""
        self._candles.pop(pair, None)

    def clear(self) -> None:
        """Forget every veto of this process."""
        self._candles.clear()


def _key(pair: str) -> str:
    return KEY.format(pair)[:LONGEST]

"""Schedule: when the writer asks - at the bot's candles as they close, or over a past span."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from quorum.advisors.book import MARGIN_MS
from quorum.advisors.fact_store import FactStore
from quorum.advisors.facts import FactReader, Facts
from quorum.advisors.models import SIMULATED, cut_off_of
from quorum.advisors.questions import least_hours
from quorum.advisors.settings import AdvisorSettings
from quorum.advisors.skill import settle
from quorum.advisors.writer import Writer, due_at
from quorum.answers import HOUR_MS
from quorum.candles import DAY_MS
from quorum.errors import SettingsError
from quorum.market import Market

logger = logging.getLogger(__name__)

#: Seconds between two looks at what is due.
EVERY = 5.0


def now_ms() -> int:
    """Return the time, milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def follow(writer: Writer, facts: FactStore, step: int, *, once: bool = False) -> None:
    """Ask what is due at the candles a bot notes, until the writer is told to stop.

    1. Facts of the newest candle that may still be asked about live are looked for.
    2. What is due at it is asked; what a service could not do is asked again while it may be.
    3. Once a day what has been said is settled.

    Parameters
    ----------
    writer : Writer
    facts : FactStore
    step : int
        Candle of the bot [ms]: for so long a question is live, but at least for an hour.
    once : bool, default=False
        End after one look.
    """
    settings, live = writer.settings, max(step, HOUR_MS)
    anonymous = settings.anonymous == "always"
    settled = 0
    while True:
        writer.settle_lost()
        newest = facts.newest()
        if newest is not None and now_ms() - newest <= live:
            asked = writer.ask(due_at(settings, facts.at(newest), anonymous=anonymous))
            if asked:
                logger.info("Asked %d questions: %s", asked, dict(writer.tally))
        day = now_ms() // DAY_MS * DAY_MS
        if day > settled:
            settle(writer.ledger, facts.closes(), day)
            settled = day
        if once or writer.stopping.wait(EVERY):
            return


def refuse_remembered(settings: AdvisorSettings, start: int) -> None:
    """Refuse questions about a past that a model may have read about (spec A6).

    Raises
    ------
    SettingsError
        Naming the first day that may be asked about.
    """
    for member in settings.members:
        if member.model.startswith(SIMULATED):
            continue
        cut_off = cut_off_of(member.model, settings.cut_offs)
        if cut_off is None:
            raise SettingsError(
                f"{member.name}: nobody says what {member.model} has read; set "
                f'quorum.advisors.cut_offs = {{"{member.model}": "YYYY-MM"}} to ask about the past'
            )
        first = cut_off + MARGIN_MS
        if start < first:
            day = np.datetime64(first, "ms").astype("datetime64[D]")
            raise SettingsError(
                f"{member.name}: may have read about it; its cut-off + 60 days is {day}, ask "
                "from then on"
            )


def past(
    writer: Writer,
    readers: Sequence[FactReader],
    start: int,
    end: int,
    *,
    anonymous: bool,
    daily: bool = True,
    on_candle: Callable[[int], None] = lambda candle: None,
) -> None:
    """Ask about a span of the past, candle by candle.

    Parameters
    ----------
    writer : Writer
    readers : sequence of FactReader
        One of each pair.
    start, end : int
        First and last close that is asked about, milliseconds since the epoch.
    anonymous : bool
    daily : bool, default=True
        Settle what has been said at the end of each day.
    on_candle : callable
        Told each candle before it is asked about.
    """
    closes = close_prices([reader.market for reader in readers])
    for candle, facts in _candles(writer.settings, readers, start, end):
        if writer.stopping.is_set():
            return
        on_candle(candle)
        writer.ask(due_at(writer.settings, facts, anonymous=anonymous))
        if daily and candle % DAY_MS == 0:
            settle(writer.ledger, closes, candle)


def close_prices(markets: Sequence[Market]) -> dict[str, Mapping[int, float]]:
    """Return by pair the price at each close time."""
    return {
        market.pair: dict(
            zip(market.close_time.tolist(), market.candles.close.tolist(), strict=True)
        )
        for market in markets
    }


def _candles(
    settings: AdvisorSettings, readers: Sequence[FactReader], start: int, end: int
) -> Iterator[tuple[int, list[Facts]]]:
    """Yield the closes at which anything is asked, with the facts of the pairs traded then."""
    step = least_hours(settings) * HOUR_MS
    for candle in range(-(-start // step) * step, end + 1, step):
        facts = []
        for reader in readers:
            market = reader.market
            row = int(np.searchsorted(market.close_time, candle))
            here = row < len(market) and market.close_time[row] == candle
            if here and market.tradable[row]:
                facts.append(reader.at(row))
        if facts:
            yield candle, facts

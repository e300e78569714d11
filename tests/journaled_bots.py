"""A bot without a host: the real desk, candle by candle, over frames that end now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from markets import START, candle_frame, resample
from sqlalchemy.engine import URL

from quorum.bot.candle_journal import CandleJournal
from quorum.bot.desk import Desk
from quorum.bot.source import FrameSource, Series
from quorum.candles import timeframe_ms
from quorum.journal.causes import Replay
from quorum.journal.settings import JournalSettings
from quorum.market import Market
from quorum.pipeline import evaluate
from quorum.settings import Settings
from quorum.signals import signal_table
from quorum.state import Store

BOT = "freqtrade"
PAIR, PEER = "SOL/USDT:USDT", "BTC/USDT:USDT"
#: Candles a bot has, and rows of the base frame there are.
STARTUP, ROWS = 1400, 2000

Frames = Mapping[Series, pd.DataFrame]
#: What an exchange makes of a series before the bot sees it.
Change = Callable[[Series, pd.DataFrame], pd.DataFrame]


def frames(seed: int = 0) -> dict[Series, pd.DataFrame]:
    """Return every series of two pairs, as the host stores them."""
    found: dict[Series, pd.DataFrame] = {}
    rng = np.random.default_rng(seed)
    for number, pair in enumerate((PAIR, PEER)):
        start = START - pd.Timedelta(days=300)
        history = candle_frame(ROWS + 24 * 300, seed=seed + number, start=start)
        base = history.iloc[-ROWS:].reset_index(drop=True)
        found[Series(pair, "1h", "futures")] = base
        found[Series(pair, "4h", "futures")] = resample(history, "4h")
        found[Series(pair, "1d", "futures")] = resample(history, "1d")
        dates = pd.date_range(START, periods=ROWS // 8 + 1, freq="8h").as_unit("ms")
        rates = 1e-4 + 2e-4 * rng.standard_normal(len(dates))
        found[Series(pair, "1h", "funding_rate")] = pd.DataFrame(
            {"date": dates, **dict.fromkeys(("open", "high", "low", "close"), rates), "volume": 0.0}
        )
        found[Series(pair, "1h", "mark")] = base.assign(
            close=base["close"] * (1 + 2e-4 * rng.standard_normal(ROWS))
        )
    return found


def as_it_is(series: Series, frame: pd.DataFrame) -> pd.DataFrame:
    return frame


def source_of(stored: Frames, change: Change, end: list[pd.Timestamp], count: int) -> FrameSource:
    """Return a source that has the last ``count`` candles closed by ``end[0]``."""

    def fetch(series: Series) -> pd.DataFrame:
        frame = stored[series]
        published = series.candle_type == "funding_rate"
        length = pd.Timedelta(milliseconds=0 if published else timeframe_ms(series.timeframe))
        seen = frame[frame["date"] + length <= end[0]].tail(count)
        return change(series, seen.reset_index(drop=True))

    return FrameSource(
        fetch,
        stored.__contains__,
        timeframe="1h",
        futures=True,
        funding_timeframe="1h",
        settings=Settings().market,
        root=Path(),
    )


class JournaledBot:
    """A desk with a journal.

    Parameters
    ----------
    where : Path or str
        Folder in which the state is kept, or address of a database.
    stored : mapping of Series to DataFrame
    settings : Settings, optional
    history : int, default STARTUP
        Candles of every series it is given.
    change : callable, optional
        What the exchange does to a series before it answers.
    """

    def __init__(
        self,
        where: Path | str | URL,
        stored: Frames,
        settings: Settings | None = None,
        *,
        history: int = STARTUP,
        change: Change = as_it_is,
        journal: JournalSettings | None = None,
        bot: str = BOT,
    ) -> None:
        self.desk = Desk(settings or Settings(), "1h")
        self.store = Store(f"sqlite:///{where}/state.sqlite" if isinstance(where, Path) else where)
        self.journal = CandleJournal(
            self.store, journal or JournalSettings(), bot=bot, startup=STARTUP
        )
        self.desk.journal = self.journal
        self._now = [START]
        self._source = source_of(stored, change, self._now, history)

    def close_candle(self, row: int, pair: str = PAIR) -> None:
        """Let the base candle of a row close, and analyse the pair."""
        self._now[0] = START + pd.Timedelta(hours=row + 1)
        frame = self._source._fetch(Series(pair, "1h", "futures"))
        frame = self.desk.analyse(self._source, pair, frame)
        settings = self.desk.settings
        self.desk.enter(pair, frame, settings.head_weights(), settings.consensus)

    def run(self, rows: range, pair: str = PAIR) -> Store:
        """Close candles one by one; return where the journal is."""
        for row in rows:
            self.close_candle(row, pair)
        self.journal.close()
        return self.store


def replayed(
    stored: Frames,
    settings: Settings | None = None,
    *,
    pair: str = PAIR,
    version: str | None = None,
    change: Change = as_it_is,
    until: int = ROWS,
) -> Replay:
    """Compute a pair as a backtest does: everything there is, at once."""
    from quorum import __version__

    settings = settings or Settings()
    end = START + pd.Timedelta(hours=until)
    source = source_of(stored, change, [end], 100_000)
    market: Market = source.market(pair, source._fetch(Series(pair, "1h", "futures")))
    table = signal_table(evaluate(market, settings), settings)
    return Replay(market, table, settings, version or __version__, lambda at: None)

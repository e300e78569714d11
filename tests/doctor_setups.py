"""Set-ups for the doctor: a sound one, changes of it, and an exchange that answers as told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from quorum.doctor import DoctorSettings, Finding, Layer, Level, Setup, Span, Strategy, examine
from quorum.settings import load_settings

HOUR = 3_600_000
NOW = 1_700_000_000.0
PAIRS = ["BTC/USDT:USDT", "ETH/USDT:USDT"]
CONFIG = {
    "strategy": "Quorum",
    "trading_mode": "futures",
    "margin_mode": "isolated",
    "dry_run": True,
    "dry_run_wallet": 100_000,
    "max_open_trades": 10,
    "stake_currency": "USDT",
    "stake_amount": "unlimited",
    "custom_price_max_distance_ratio": 0.5,
    "entry_pricing": {"price_side": "other", "use_order_book": True},
    "exit_pricing": {"price_side": "other", "use_order_book": True},
    "order_types": {"entry": "limit", "exit": "limit", "stoploss": "market"},
    "exchange": {"name": "binance", "pair_whitelist": PAIRS},
}


class Answers:
    """An exchange that answers what a test wants."""

    name = "Binance"

    def __init__(self, offset=0.0, rights=None, orders=None, listed=PAIRS, limit=499):
        self._said = offset, rights, orders, None if listed is None else frozenset(listed)
        self._limit = limit

    def candle_limit(self, timeframe, candle_type):
        return self._limit

    def clock_offset(self):
        return self._said[0]

    def key_rights(self):
        return self._said[1]

    def smallest_orders(self, pairs):
        return self._said[2]

    def listed(self):
        return self._said[3]


SILENT = Answers(offset=None, listed=None)


def spans(rows=20_000, **missing) -> tuple[Span, ...]:
    """Return every series of every pair; by role the number of pairs that lack it."""
    roles = {"base": ("1h", "futures"), "higher 4h": ("4h", "futures"), "mark": ("1h", "mark")}
    roles |= {"premium_index": ("1h", "premiumIndex"), "universe SOL": ("1d", "futures")}
    found = []
    for role, (timeframe, kind) in roles.items():
        for number, pair in enumerate(PAIRS):
            there = 0 if number < missing.get(role.replace(" ", "_"), 0) else rows
            found.append(Span(pair, role, timeframe, kind, there, 0.0, (rows - 1) * HOUR))
    return tuple(found)


def sound_setup(tmp_path: Path) -> Setup:
    """Return a set-up with nothing to find."""
    file = tmp_path / "user_data" / "strategies" / "quorum_strategy.py"
    file.parent.mkdir(parents=True)
    file.write_text("class Quorum: ...\n")
    datadir = tmp_path / "user_data" / "data"
    datadir.mkdir()
    values = {"timeframe": "1h", "startup_candle_count": 1400, "order_types": CONFIG["order_types"]}
    return Setup(
        config=CONFIG,
        settings=load_settings({}),
        user_data=tmp_path / "user_data",
        datadir=datadir,
        layers=(Layer("config.json", None, CONFIG),),
        strategy=Strategy("Quorum", "1.0", file, values),
        shipped_strategy=file,
        series=spans(),
        exchange=Answers(orders={pair: 5.0 for pair in PAIRS}),
        databases={"db_url": f"sqlite:///{tmp_path / 'trades.sqlite'}"},
        requirements={"python": ">=3.11", "numpy": ">=1"},
        limits=DoctorSettings(free_disk=0),
        now=NOW,
    )


def changed(setup: Setup, **values) -> Setup:
    """Return a set-up with other configuration values, by dotted path with ``__``."""
    config = json.loads(json.dumps(setup.config))
    for path, value in values.items():
        *groups, name = path.split("__")
        place = config
        for group in groups:
            place = place.setdefault(group, {})
        place[name] = value
    return replace(setup, config=config, layers=(Layer("mine.json", None, config),))


def worst(setup: Setup, check: str) -> Finding:
    """Return the worst finding of one check."""
    order = list(Level)
    return max(examine(setup, [check]), key=lambda finding: order.index(finding.level))

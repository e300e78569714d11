"""Golden run: backtest with freqtrade and hold every trade against one recorded before.

``record FILE`` keeps the trades and refusals of a backtest, ``compare FILE`` runs the same one
again and prints the first difference, trade by trade. By default on the embedded market;
``--datadir`` for recorded candles. Run it from the project's folder.

Status 0: recorded, or the same; 1: a difference, or no run.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from freqtrade.data.btanalysis import load_backtest_stats

from quorum.bot.host import load_files
from quorum.bot.journal import journal_path
from quorum.cli.demo import backtest, demo_data, write_layer
from quorum.cli.run import USER_DATA
from quorum.cli.train import train_once
from quorum.errors import DataError, QuorumError

CONFIG = "config.json"
#: Seven months of the embedded market.
TIMERANGE = "20240101-20240801"
#: What the host says of a trade, and of each of its orders.
TRADE = [
    "pair",
    "is_short",
    "open_timestamp",
    "open_rate",
    "close_timestamp",
    "close_rate",
    "exit_reason",
    "amount",
    "stake_amount",
    "leverage",
    "initial_stop_loss_abs",
    "stop_loss_abs",
    "min_rate",
    "max_rate",
    "funding_fees",
    "profit_abs",
]
ORDER = ["order_filled_timestamp", "safe_price", "amount", "ft_is_entry", "ft_order_tag"]
#: What the signal of a trade says.
SIGNAL = [
    "entry_price",
    "stop_loss",
    "stop_kind",
    "ladder",
    "ladder_shares",
    "risk_reward_ratio",
    "position_size_quote",
    "risk_amount",
    "expected_win_rate",
    "consensus_confidence",
    "confluence_score",
    "agreeing_heads",
    "total_heads",
    "confidence_band",
    "signal_quality",
    "entry_strategy",
    "trailing_stop",
]
#: What numbers may differ by, as a part of them: the order in which a machine adds.
ROUNDING = 1e-9

Run = Mapping[str, Any]


class Asked(NamedTuple):
    """Which backtest: configuration, candles (None: the embedded market), span, models or none."""

    config: list[str]
    datadir: str | None
    timerange: str
    models: bool


def run(asked: Asked) -> Run:
    """Backtest, and return the trades in order of their opening and the refusals by reason."""
    config = [Path(layer) for layer in asked.config]
    datadir = Path(asked.datadir) if asked.datadir else None
    data = demo_data(datadir, asked.timerange, load_files(config))
    layered = [*config, write_layer(data, models=asked.models)]
    if asked.models:
        train_once(layered, data.datadir)
    result = backtest(data, layered, USER_DATA / "logs" / "golden.log", shown=False)
    journal = journal_path(result)
    if not journal.is_file():
        raise DataError(f"{journal}: the backtest entered and refused nothing")
    kept = json.loads(journal.read_text(encoding="utf-8"))
    signals = {(s["pair"], datetime.fromisoformat(s["opened"])): s for s in kept["signals"]}
    trades = [
        described(trade, signals)
        for trade in load_backtest_stats(result)["strategy"]["Quorum"]["trades"]
    ]
    trades.sort(key=lambda trade: (trade["open_timestamp"], trade["pair"]))
    return {"accepted": kept["accepted"], "refused": kept["refused"], "trades": trades}


def described(
    trade: Mapping[str, Any], signals: Mapping[tuple[str, datetime], Mapping[str, Any]]
) -> Run:
    """Return one trade with its orders and the signal it was opened on."""
    opened = datetime.fromtimestamp(trade["open_timestamp"] / 1000, tz=UTC)
    signal = signals.get((trade["pair"], opened))
    if signal is None:
        raise DataError(f"the journal has no signal of {trade['pair']}, opened {opened}")
    votes = {name: vote["direction"] for name, vote in signal["votes"].items()}
    return {
        **{name: trade[name] for name in TRADE},
        "orders": [{name: order.get(name) for name in ORDER} for order in trade["orders"]],
        "signal": {**{name: signal[name] for name in SIGNAL}, "votes": votes},
    }


def first_difference(before: Run, now: Run) -> str | None:
    """Say where two runs first differ, trade by trade; None where they do not."""
    for number, (old, new) in enumerate(zip(before["trades"], now["trades"], strict=False), 1):
        found = difference(old, new)
        if found is not None:
            day = datetime.fromtimestamp(old["open_timestamp"] / 1000, tz=UTC)
            return f"trade {number}, {old['pair']} of {day:%Y-%m-%d %H:%M}: {found}"
    was, is_now = ({**run, "trades": len(run["trades"])} for run in (before, now))
    return difference(was, is_now)


def difference(before: object, now: object, where: str = "") -> str | None:
    """Say where two values first differ, None where they do not."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        names = dict.fromkeys([*before, *now])
        parts = ((f"{where}.{n}", before.get(n), now.get(n)) for n in names)
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        parts = ((f"{where}[{i}]", a, b) for i, (a, b) in enumerate(zip(before, now, strict=True)))
    elif _same(before, now):
        return None
    else:
        return f"{where.removeprefix('.')} was {before!r}, is {now!r}"
    return next((found for n, a, b in parts if (found := difference(a, b, n)) is not None), None)


def _same(before: object, now: object) -> bool:
    if isinstance(before, float) and isinstance(now, int | float):
        return math.isclose(before, now, rel_tol=ROUNDING, abs_tol=ROUNDING)
    return before == now


def main(arguments: Sequence[str] | None = None) -> int:
    """Record or compare, and return the status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("action", choices=("record", "compare"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--config", action="append", help="record: default config.json")
    parser.add_argument("--datadir", help="record: default the embedded market")
    parser.add_argument("--timerange", default=TIMERANGE, help=f"record: default {TIMERANGE}")
    parser.add_argument("--no-models", dest="models", action="store_false", help="record")
    given = parser.parse_args(arguments)
    try:
        if given.action == "record":
            asked = Asked(given.config or [CONFIG], given.datadir, given.timerange, given.models)
            kept = {"asked": asked._asdict(), **run(asked)}
            given.file.write_text(json.dumps(kept, indent=1), encoding="utf-8")
            print(f"{given.file}: {len(kept['trades'])} trades, refused {kept['refused']}")
            return 0
        kept = json.loads(given.file.read_text(encoding="utf-8"))
        asked = kept.pop("asked", None)
        if asked is None:
            raise DataError(f"{given.file}: is no record of a golden run")
        found = first_difference(kept, json.loads(json.dumps(run(Asked(**asked)))))
    except (QuorumError, OSError, ValueError) as error:
        print(f"golden: {error}", file=sys.stderr)
        return 1
    print(found or f"the same {len(kept['trades'])} trades and refusals as {given.file}")
    return int(found is not None)


if __name__ == "__main__":
    sys.exit(main())

"""``quorum models``: listing, inspecting, switching and pruning a store."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from quorum.cli import app
from quorum.learning.manifest import ChainManifest, Vintage, VintageManifest
from quorum.learning.store import ModelStore

DAY = 86_400_000
VALID = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp() * 1000)


@pytest.fixture
def store(tmp_path) -> ModelStore:
    return ModelStore(tmp_path / "user" / "models" / "quorum")


def written(store: ModelStore, key: str, day: int = 0, **metrics: float) -> VintageManifest:
    vintage = Vintage(
        key=key,
        valid_from=VALID + day * DAY,
        cut_off=VALID + (day - 4) * DAY,
        horizon_ms=2 * DAY,
        embargo_ms=DAY,
        train_start=VALID - 365 * DAY,
        rows=4321 + day,
        timeframe="1h",
        pairs=("BTC/USDT:USDT", "[ETH]"),
        features=("rsi_14", "atr_[share]"),
        labels={"upper": 2.0, "costs": {"fee": 0.0005}},
        models={"signal": {"rounds": 200}},
        metrics={"signal": metrics, "regime": {"log_loss": 1.25}},
    )
    return store.write(vintage, {"signal.ubj": b"x" * 2048})


@pytest.fixture
def chains(store) -> list[ChainManifest]:
    keys = [written(store, f"k{day}", day, log_loss=0.9 + day / 100).key for day in (0, 30)]
    return [
        store.publish(keys[:1], "first [run]", {"signal": {"log_loss": 0.9}}),
        store.publish(keys, "second", {"signal": {"log_loss": 1.05}, "pairs": 2}),
    ]


def call(store: ModelStore, *arguments: str):
    return CliRunner().invoke(app, ["models", *arguments, "--models-dir", str(store.root)])


def succeed(store: ModelStore, *arguments: str) -> str:
    result = call(store, *arguments)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def fail(store: ModelStore, *arguments: str) -> str:
    result = call(store, *arguments)
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


def cells(out: str, first: str) -> list[str]:
    """Return the cells of the printed row that begins at ``first``."""
    return [c.strip() for c in out[out.index(first) :].split("│")]


def test_list_marks_the_chain_in_use_the_newest_first(store, chains):
    out = succeed(store, "list")
    assert out.index(chains[1].id) < out.index(chains[0].id)
    row = cells(out, chains[1].id)
    assert row[2:5] == ["2", "1h", "1.05"]
    assert row[5] == "second"
    assert cells(out, chains[0].id)[4:6] == ["0.9", "first [run]"]
    assert out.count("in use") == 1
    assert out.index("in use") < out.index(chains[1].id)
    assert f"{datetime.fromtimestamp(chains[0].created / 1000, UTC):%Y-%m-%d %H:%M}" in out


def test_list_says_that_nothing_was_published(store):
    assert "no chain of models was published (0 vintages)" in succeed(store, "list")
    written(store, "k0")
    assert "no chain of models was published (1 vintages)" in succeed(store, "list")


def test_list_still_helps_where_current_is_damaged(store, chains):
    (store.root / "CURRENT").write_text("???")
    out = succeed(store, "list")
    assert "no chain can be used:" in out
    assert "'???' is not the id of a chain" in out
    assert "in use" not in out
    assert chains[0].id in succeed(store, "promote", chains[0].id)
    assert store.current() == chains[0]


def test_inspect_shows_the_vintages_of_the_chain_in_use(store, chains):
    out = succeed(store, "inspect")
    assert f"chain {chains[1].id}" in out
    assert "1h, 2 features, 2 vintages, all files as written" in out
    assert "signal.log_loss = 1.05" in out
    age = round((datetime.now(UTC).timestamp() - VALID / 1000) / 86_400 + 4)
    row = cells(out, "k0")
    assert row[:4] == ["k0", "2025-01-01 00:00", "2024-12-28 00:00", "4321"]
    assert abs(int(row[4]) - age) <= 1
    assert row[5:7] == ["0.9", "1.25"]
    assert cells(out, "k30")[5] == "1.2"


def test_inspect_of_a_vintage_shows_all_that_is_known_of_it(store, chains):
    out = succeed(store, "inspect", "k3")
    for part in (
        "vintage k30",
        "2025-01-31 00:00",
        "2024-01-02 00:00 to 2025-01-27 00:00",
        "4351 of BTC/USDT:USDT, [ETH], 1h",
        "1, 2 KiB, all as written",
        "labels.costs.fee",
        "models.signal.rounds",
        "metrics.regime.log_loss",
        "1.25",
        "rsi_14, atr_[share]",
        store.find("k30").features_hash,
    ):
        assert part in out


def test_inspect_takes_a_beginning_if_there_is_only_one_such(store, chains):
    assert f"chain {chains[0].id}" in succeed(store, "inspect", chains[0].id[:-1])
    assert "'k' may be any of k0, k30" in fail(store, "inspect", "k")
    assert "'nothing' is no chain or vintage" in fail(store, "inspect", "nothing")


def test_inspect_names_a_damaged_file(store, chains):
    (store.root / "vintages" / "k30" / "signal.ubj").write_bytes(b"y")
    for arguments in (["inspect"], ["inspect", "k30"]):
        assert "signal.ubj: corrupted" in fail(store, *arguments)
    assert "4321" in succeed(store, "inspect", "k0")


def test_inspect_without_a_chain_in_use_says_how_to_get_one(store):
    assert "no chain of models is in use, see `quorum train`" in fail(store, "inspect")


def test_promote_and_rollback_switch_the_chain_and_keep_the_reason(store, chains):
    out = succeed(store, "promote", chains[0].id[:-2], "--reason", "calmer")
    assert f"in use: {chains[0].id}" in out
    assert store.current() == chains[0]
    assert store.history()[-1].reason == "calmer"
    assert f"in use: {chains[1].id}" in succeed(store, "rollback")
    assert store.current() == chains[1]
    assert store.history()[-1].reason == "by hand"
    assert f"in use: {chains[0].id}" in succeed(store, "rollback")
    assert "there is no earlier chain to roll back to" in fail(store, "rollback")
    assert "k0 is a vintage; promote a chain" in fail(store, "promote", "k0")


def test_prune_says_what_it_removed(store, chains):
    store.publish(["k30"], "third")
    assert "removed 2 chains and 1 vintages" in succeed(store, "prune", "--keep", "1")
    assert [m.key for m in store.vintages()] == ["k30"]
    assert "there are no models" in fail(ModelStore(store.root / "other"), "prune")
    assert call(store, "prune", "--keep", "0").exit_code == 2


def test_the_store_is_in_the_user_directory_of_the_configuration(store, chains, tmp_path):
    config: Path = tmp_path / "config.json"
    config.write_text(json.dumps({"user_data_dir": str(tmp_path / "user")}))
    result = CliRunner().invoke(app, ["models", "list", "-c", str(config)])
    assert result.exit_code == 0, result.output
    assert chains[1].id in result.output
    result = CliRunner().invoke(app, ["models", "list", "-c", str(tmp_path / "none.json")])
    assert result.exit_code == 1
    assert "no such configuration file" in result.output

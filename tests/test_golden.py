"""The golden run: where two backtests of the same market first differ."""

from __future__ import annotations

import copy
import importlib.util
import json
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "golden.py"
DAY = 1_704_067_200_000


@pytest.fixture(scope="module")
def golden():
    spec = importlib.util.spec_from_file_location("golden", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def a_run() -> dict:
    trades = [
        {
            "pair": pair,
            "open_timestamp": DAY,
            "open_rate": 100.0,
            "exit_reason": "roi",
            "orders": [{"safe_price": 100.0}, {"safe_price": 110.0}],
            "signal": {"ladder": [110.0, 120.0], "trailing_stop": None},
        }
        for pair in ("BTC/USDT", "ETH/USDT")
    ]
    return {"accepted": 2, "refused": {"loss_streak": 3}, "trades": trades}


def test_a_run_is_the_same_as_itself(golden):
    assert golden.first_difference(a_run(), a_run()) is None


def test_the_first_difference_names_the_trade_and_the_value(golden):
    now = a_run()
    now["trades"][1]["orders"][1]["safe_price"] = 111.0
    now["trades"][1]["signal"]["ladder"][0] = 111.0
    assert golden.first_difference(a_run(), now) == (
        "trade 2, ETH/USDT of 2024-01-01 00:00: orders[1].safe_price was 110.0, is 111.0"
    )


def test_what_a_machine_rounds_is_no_difference(golden):
    now = a_run()
    now["trades"][0]["open_rate"] *= 1 + 1e-12
    assert golden.first_difference(a_run(), now) is None
    now["trades"][0]["open_rate"] *= 1 + 1e-7
    assert "trade 1" in golden.first_difference(a_run(), now)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda run: run["refused"].update(loss_streak=4), "refused.loss_streak was 3, is 4"),
        (lambda run: run["refused"].update(new=1), "refused.new was None, is 1"),
        (lambda run: run["trades"].pop(), "trades was 2, is 1"),
        (
            lambda run: run["trades"][0]["orders"].pop(),
            "trade 1, BTC/USDT of 2024-01-01 00:00: orders was [{'safe_price': 100.0}, "
            "{'safe_price': 110.0}], is [{'safe_price': 100.0}]",
        ),
    ],
)
def test_refusals_and_what_is_missing_are_differences(golden, change, said):
    now = a_run()
    change(now)
    assert golden.first_difference(a_run(), now) == said


def test_a_comparison_runs_what_was_recorded_and_fails_on_a_difference(
    golden, monkeypatch, tmp_path, capsys
):
    asked, runs = [], [a_run(), a_run(), copy.deepcopy(a_run())]
    runs[2]["accepted"] = 1

    def run(wanted):
        asked.append(wanted)
        return runs[len(asked) - 1]

    monkeypatch.setattr(golden, "run", run)
    file = str(tmp_path / "golden.json")
    assert golden.main(["record", file, "--no-models", "--timerange", "20230101-20240101"]) == 0
    assert golden.main(["compare", file]) == 0
    assert golden.main(["compare", file]) == 1
    assert "accepted was 2, is 1" in capsys.readouterr().out
    assert asked == [golden.Asked(["config.json"], None, "20230101-20240101", False)] * 3


def test_a_file_that_is_no_record_is_named(golden, tmp_path, capsys):
    file = tmp_path / "none.json"
    assert golden.main(["compare", str(file)]) == 1
    assert "none.json" in capsys.readouterr().err
    file.write_text(json.dumps({"trades": []}))
    assert golden.main(["compare", str(file)]) == 1
    assert "none.json" in capsys.readouterr().err

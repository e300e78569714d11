"""Fills: which trades of two runs belong together, what differs, and why."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorum.report.fills import EXPLANATIONS, Cause, cause_of, compare, kind_of
from quorum.report.trades import Fill, TradeRecord

HOUR = timedelta(hours=1)
START = datetime(2024, 1, 1, tzinfo=UTC)
PAIR = "BTC/USDT:USDT"

#: An exit: minutes after the opening, tag, price; the amount is an equal part.
Exit = tuple[int, str, float]


def at(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes)


def trade(
    *exits: Exit, opened: int = 0, entered: int = 0, entry: float = 100.0, side: int = 1,
    pair: str = PAIR, ratio: float = 0.0, stake: float = 1000.0,
) -> TradeRecord:  # fmt: skip
    fills = [Fill(at(opened + entered), entry, 1.0, True, "4/9 high")]
    fills += [Fill(at(opened + m), price, 1 / len(exits), False, tag) for m, tag, price in exits]
    last = exits[-1] if exits else (60, "force_exit", entry)
    return TradeRecord(
        pair=pair,
        direction=side,
        opened=at(opened),
        closed=at(opened + last[0]),
        open_rate=entry,
        close_rate=last[2],
        profit=stake * ratio,
        profit_ratio=ratio,
        funding=0.0,
        best=entry,
        worst=entry,
        exit_reason=last[1],
        fills=tuple(fills),
        signal=None,
    )


def test_exits_are_named_by_the_tags_of_the_host_and_of_the_keeper():
    tags = {
        "stop_loss": "stop",
        "trailing_stop_loss": "trailing",
        "roi": "target",
        "ladder_1": "ladder_1",
        "ladder_2": "ladder_2",
        "reversal_half": "reversal",
        "reversal": "reversal",
        "time_stop": "time",
        "opposite_quorum": "opposite quorum",
    }
    assert {tag: kind_of(tag) for tag in tags} == tags


def test_trades_of_one_pair_side_and_hour_belong_together():
    plain = [trade(), trade(opened=60), trade(opened=120, side=-1), trade(opened=180, pair="ETH")]
    detailed = [trade(opened=25), trade(opened=60, side=-1), trade(opened=120, side=-1)]
    found = compare(plain, detailed, HOUR)
    assert [(p.opened, d.opened) for p, d in found.matched] == [
        (at(0), at(25)),
        (at(120), at(120)),
    ]
    assert [t.opened for t in found.only_plain] == [at(60), at(180)]
    assert [t.opened for t in found.only_detailed] == [at(60)]


def test_a_trade_is_matched_once():
    found = compare([trade()], [trade(), trade(opened=30)], HOUR)
    assert len(found.matched) == 1
    assert [t.opened for t in found.only_detailed] == [at(30)]


@pytest.mark.parametrize("side", [1, -1])
def test_a_price_difference_is_positive_where_the_plain_run_sells_dearer_or_covers_cheaper(side):
    better = trade((60, "ladder_1", 100.0 + side), side=side)
    found = compare([better], [trade((65, "ladder_1", 100.0), side=side)], HOUR)
    (kind,) = found.kinds
    assert (kind.kind, kind.plain, kind.detailed, kind.both) == ("ladder_1", 1, 1, 1)
    assert kind.price == pytest.approx(100.0)


def test_kinds_count_every_fill_and_price_only_what_both_runs_have():
    plain = trade((60, "ladder_1", 104.0), (120, "stop_loss", 98.0))
    detailed = trade((60, "ladder_1", 104.0), (125, "roi", 108.0))
    extra = trade((60, "stop_loss", 98.0), opened=600)
    kinds = {k.kind: k for k in compare([plain, extra], [detailed], HOUR).kinds}
    assert (kinds["ladder_1"].both, kinds["ladder_1"].price) == (1, 0.0)
    assert (kinds["stop"].plain, kinds["stop"].detailed, kinds["stop"].both) == (2, 0, 0)
    assert kinds["stop"].price != kinds["stop"].price
    assert (kinds["target"].plain, kinds["target"].detailed) == (0, 1)


SAME = (70, "ladder_1", 104.0), (190, "trailing_stop_loss", 100.0)
CAUSES = [
    (Cause.SAME, SAME, ((95, "ladder_1", 104.0), (200, "trailing_stop_loss", 100.1)), {}),
    (Cause.ENTRY, SAME, SAME, {"entered": 65}),
    (Cause.ENTRY, SAME, SAME, {"entry": 99.9}),
    # The hour's low is held against a stop that its high has moved.
    (Cause.ENTRY_CANDLE, ((0, "trailing_stop_loss", 100.0),), ((190, "roi", 108.0),), {}),
    (Cause.SAME_CANDLE, ((60, "stop_loss", 98.0),), ((80, "ladder_1", 104.0),), {}),
    (
        Cause.RUNGS,
        ((60, "ladder_1", 104.0), (120, "ladder_2", 107.0), (180, "roi", 110.0)),
        ((60, "ladder_1", 104.0), (65, "ladder_2", 106.0), (180, "roi", 110.0)),
        {},
    ),
    (Cause.LATER, ((60, "trailing_stop_loss", 100.0),), ((600, "roi", 108.0),), {}),
]


@pytest.mark.parametrize(("cause", "plain", "detailed", "changes"), CAUSES)
def test_what_differs_first_is_the_cause(cause, plain, detailed, changes):
    assert cause_of(trade(*plain), trade(*detailed, **changes), HOUR) is cause


def test_every_cause_but_none_is_explained():
    assert set(EXPLANATIONS) == set(Cause) - {Cause.SAME}


def test_causes_sum_up_the_differences_of_matched_trades():
    plain = [
        trade(*SAME, ratio=0.010),
        trade(*SAME, opened=600, ratio=0.02),
        trade((60, "stop_loss", 98.0), opened=1200, ratio=-0.02),
        trade((60, "stop_loss", 98.0), opened=1800, ratio=-0.02),
    ]
    detailed = [
        trade(*SAME, ratio=0.010),
        trade(*SAME, opened=600, ratio=0.01),
        trade((65, "roi", 108.0), opened=1200, ratio=0.08),
    ]
    found = compare(plain, detailed, HOUR)
    same, candle = found.causes
    assert (same.cause, same.trades, same.better, same.worse) == (Cause.SAME, 2, 1, 0)
    assert same.points == pytest.approx(0.5)
    assert same.profit == pytest.approx(10.0)
    assert (candle.cause, candle.trades, candle.better, candle.worse) == (
        Cause.SAME_CANDLE, 1, 0, 1,
    )  # fmt: skip
    assert candle.profit == pytest.approx(-100.0)
    assert found.profit == pytest.approx((-10.0, 100.0))
    mean, error = found.optimism
    assert mean == pytest.approx((0.0 + 1.0 - 10.0) / 3)
    assert error == pytest.approx(3.512, abs=1e-3)


def run_of(*results: float) -> list[TradeRecord]:
    return [trade(*SAME, opened=600 * i, ratio=ratio) for i, ratio in enumerate(results)]


@pytest.mark.parametrize(
    ("gaps", "bias"),
    [
        ([0.010, 0.012, 0.011, 0.009], 1),
        ([-0.010, -0.012, -0.011, -0.009], -1),
        # One large difference hides nine small ones from the mean, not from the count.
        ([-0.2, *[-0.001] * 9], -1),
        # Mean and count contradict each other.
        ([0.02] * 6 + [-0.0002] * 40, 0),
        ([0.01, -0.01, 0.02, -0.02], 0),
        ([0.0, 0.0, 0.0], 0),
        ([], 0),
    ],
)
def test_a_bias_is_what_chance_does_not_explain(gaps, bias):
    found = compare(run_of(*gaps), run_of(*[0.0] * len(gaps)), HOUR)
    assert found.bias == bias
    assert found.signs == (sum(g > 1e-4 for g in gaps), sum(g < -1e-4 for g in gaps))


def test_two_trades_are_too_few_to_speak_of_a_bias_and_none_is_no_comparison():
    empty = compare([], [], HOUR)
    assert (empty.matched, empty.kinds, empty.causes, empty.profit) == ((), (), (), (0, 0))
    assert all(x != x for x in empty.optimism)
    assert all(x != x for x in compare([trade()], [trade()], HOUR).optimism)


@given(
    st.lists(
        st.tuples(st.integers(0, 3000), st.sampled_from([1, -1]), st.floats(-0.1, 0.1)),
        max_size=20,
    )
)
def test_a_run_compared_with_itself_differs_in_nothing(drawn):
    run = [trade(*SAME, opened=m, side=side, ratio=ratio) for m, side, ratio in drawn]
    found = compare(run, [replace(t) for t in run], HOUR)
    assert len(found.matched) == len(run)
    assert found.only_plain == found.only_detailed == ()
    assert all(p is not d for p, d in found.matched)
    assert found.profit[0] == pytest.approx(found.profit[1])
    assert all(k.plain == k.detailed for k in found.kinds)

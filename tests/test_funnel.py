"""The funnel: a run in which a class of signals never passes says so (spec C14)."""

from __future__ import annotations

import pytest
from published import agreeing, published, table_of

from quorum.funnel import Funnel, count, gather
from quorum.settings import Settings


def counted(rows, accepted=None, refused=None, sides=("long", "short"), **consensus) -> Funnel:
    """Return the funnel of one pair with these votes under these consensus settings."""
    settings = Settings.model_validate({"consensus": consensus})
    table = table_of(published(rows), settings)
    part = count(table, settings)
    return gather([part], accepted or {}, refused or {}, settings.consensus, sides)


def five(side: int, confidence: float = 0.75):
    return agreeing(5, 0.70, confidence, side)


ABSENT: list[None] = [None] * 9


def test_each_step_counts_candles_once_and_sides_apart():
    both = [(1, 0.7, 0.8)] * 5 + [(-1, 0.7, 0.8)] * 4
    f = counted([five(1), five(1, 0.5), both, ABSENT, agreeing(3, 0.7, 0.75, -1)])
    assert (f.candles, f.tradable) == (5, 5)
    assert (f.either.voted, f.long.voted, f.short.voted) == (4, 3, 2)
    assert (f.either.valid, f.long.valid, f.short.valid) == (3, 2, 2)
    assert (f.either.quorum, f.long.quorum, f.short.quorum) == (2, 2, 0)
    assert f.either.signals == f.long.signals == 2
    assert f.heads["technical"].model_dump() == {"available": 4, "voted": 4, "valid": 3}
    assert sum(f.bands.values()) == 2


def test_history_and_candles_that_cannot_be_traded_do_not_count():
    settings = Settings()
    table = table_of(published([five(1)] * 6, atr=[1.0, 1.0, 1.0, float("nan"), 1.0, 0.0]))
    part = count(table, settings, first=2)
    assert (part.candles, part.tradable, part.long.signals) == (4, 2, 2)


def test_signals_divide_over_the_dealing_range():
    rows = [five(1)] * 4 + [five(-1)] * 2 + [ABSENT]
    where = [0.2, 0.5, 0.9, float("nan"), 0.2, 0.9, 0.9]
    frame = published(rows, zone_position=where)
    f = gather([count(table_of(frame), Settings())], {}, {}, Settings().consensus)
    assert f.zones == {"right zone": 2, "equilibrium": 1, "wrong zone": 2, "not known": 1}
    assert "dealing range of the signals: right zone 33%, equilibrium 17%, wrong zone 33%" in next(
        s for s in f.shares() if s.startswith("dealing range")
    )


def test_pairs_add_up():
    settings = Settings()
    one = count(table_of(published([five(1)] * 3)), settings)
    two = count(table_of(published([five(-1)] * 2)), settings)
    f = gather([one, two], {"5/9 high": 1}, {"cooldown": 3}, settings.consensus)
    assert (f.candles, f.long.signals, f.short.signals, f.asked) == (5, 3, 2, 4)
    assert f.heads["volume"].voted == 5


@pytest.mark.parametrize(
    ("funnel", "says"),
    [
        (counted([five(1, 0.6)], calibrated=True),
         "no long vote was valid on 1 candles (consensus.min_probability 0.6, "
         "consensus.min_confidence 0.7 as hit rates, consensus.calibrated)"),
        (counted([five(1)] * 60, effective=True, quorum=6),
         "valid long votes on 60 candles, never a quorum (consensus.quorum 6 or 0.44 of those "
         "available, consensus.effective counts heads that agree as fewer)"),
        (counted([five(-1)], gate=0.99),
         "a short quorum on 1 candles, none over the gate (consensus.gate 0.99, "
         "consensus.medium 0.65)"),
        (counted([five(1)]), "no head ever voted short"),
        (counted([five(1)]), "none of 1 signals was in the medium band"),
        (counted([five(1)]), "head rules voted on 1 candles, never validly"),
        (counted([five(1)]), "1 signals, and no entry was asked for"),
        (counted([five(1)], refused={"cooldown": 1, "first_target_under_min_rr": 4}),
         "all 5 entries asked for were refused, 4 of them for first_target_under_min_rr"),
        (counted([ABSENT]), "abstained on every candle: technical, sentiment"),
    ],
)  # fmt: skip
def test_what_never_passes_is_said_with_the_setting_that_does_it(funnel, says):
    if "rules" in says:
        funnel = counted([[*five(1)[:3], (1, 0.55, 0.9), *five(1)[4:]]])
    assert any(sentence.startswith(says) for sentence in funnel.silent), funnel.silent


def test_a_market_without_shorts_does_not_miss_them():
    f = counted([five(1)], accepted={"5/9 high": 1}, sides=("long",))
    assert not [s for s in f.silent if "short" in s]
    assert f.line().endswith("asked for 1, accepted 1")


def test_a_run_without_a_tradable_candle_says_only_that():
    settings = Settings()
    table = table_of(published([five(1)] * 3, atr=0.0))
    f = gather([count(table, settings)], {}, {}, settings.consensus)
    assert f.silent == ("none of 3 candles was tradable",)


def test_a_funnel_is_read_back_as_it_was():
    f = counted([five(1), five(-1)], accepted={"5/9 high": 1})
    assert Funnel.model_validate_json(f.model_dump_json()) == f

"""Models, advisors and hybrid on the same candles: what each would have made."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from markets import full_market

from quorum.context.hybrid import Strength
from quorum.pipeline import evaluate
from quorum.report.page.advised import hybrid_section
from quorum.settings import Settings
from quorum.simulation import Venue, material_of
from quorum.simulation.hybrid_evidence import DECIDERS, hybrid_evidence, sides

MARKET = full_market(2200)


@pytest.fixture(scope="module")
def material():
    settings = Settings()
    return material_of(evaluate(MARKET, settings), settings, Venue(), startup=1400)


def spoken(material, models, advisors):
    """Return a material whose models and advisors say this at every candle."""
    n = len(material.candles)
    known = np.isfinite(models) & np.isfinite(advisors)
    same = (models == advisors) & (models != 0)
    strength = np.where(same, float(Strength.STRONG), float(Strength.WEAK))
    columns = {
        **material.table.columns,
        "hybrid_models": models,
        "hybrid_advisors": advisors,
        "hybrid_direction": models,
        "hybrid_strength": np.where(known, strength, np.nan),
        "hybrid_factor": np.where(same, 0.5, 0.0),
    }
    assert all(len(column) == n for column in columns.values())
    return replace(material, table=replace(material.table, columns=columns))


def test_where_nobody_spoke_there_is_nothing_to_compare(material):
    assert hybrid_evidence([material]) == []


def test_who_knows_the_future_wins_and_who_knows_it_wrong_loses(material):
    close = material.candles.close
    day = np.r_[close[24:], np.full(24, close[-1])]
    future = np.sign(day - close)
    made = {m.decider: m for m in hybrid_evidence([spoken(material, future, -future)], runs=200)}
    assert tuple(made) == DECIDERS
    assert made["models"].trades > 20
    assert made["models"].mean_r.low > 0
    assert made["models"].false_signals.estimate < 0.05
    assert made["advisors"].mean_r.high < 0
    assert made["advisors"].false_signals.estimate > 0.95
    assert made["hybrid"].trades == 0, "they never agree"
    assert np.isnan(made["hybrid"].win_rate.estimate)


def test_the_hybrid_counts_by_its_size(material):
    future = np.ones(len(material.candles))
    made = {m.decider: m for m in hybrid_evidence([spoken(material, future, future)], runs=50)}
    assert made["hybrid"].trades == made["models"].trades == made["advisors"].trades
    assert made["hybrid"].mean_r.estimate == pytest.approx(0.5 * made["models"].mean_r.estimate)


def test_only_candles_at_which_both_spoke_count(material):
    n = len(material.candles)
    models, advisors = np.ones(n), np.ones(n)
    models[: n // 2] = np.nan
    side, _ = sides(spoken(material, models, advisors).table.columns, "advisors")
    assert not side[: n // 2].any()
    assert side[n // 2 :].all()


def test_the_page_of_a_run_shows_the_three_side_by_side(material):
    assert hybrid_section([]) is None
    future = np.ones(len(material.candles))
    made = hybrid_evidence([spoken(material, future, -future)], runs=50)
    section = hybrid_section(made)
    cells = section.blocks[0].cells()
    assert [row[0].text for row in cells] == list(DECIDERS)
    assert cells[0][2].text.startswith(f"{made[0].win_rate.estimate:.0%}".rstrip("%"))
    assert cells[2][1].text == "0"

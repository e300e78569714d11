"""Models on the page: what they learned, whether promises were kept, and whose models they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from page_runs import FIRST, HOUR, PAIRS, chain_evidence, chain_learned, made_run
from published import WEIGHTS, published

from quorum.entry import HeadVote
from quorum.errors import DataError
from quorum.heads import HEADS
from quorum.learning.evidence_document import evidence_path, save_evidence
from quorum.learning.manifest import Vintage, dated_name
from quorum.learning.store import ModelStore
from quorum.report.page.blocks import Chart, Choice, Table, Text, number, percent
from quorum.report.page.collected import learned, models_voted, votes_changed
from quorum.report.page.compose import lay_out
from quorum.report.page.confidence import confidence_section
from quorum.report.page.inputs import Inputs, Learned
from quorum.report.page.learned import models_section
from quorum.report.page.measures import measure
from quorum.report.page.run import PageSettings
from quorum.report.page.verdict import judge
from quorum.settings import Settings
from quorum.signals import decide

SETTINGS = PageSettings(runs=200)
DAY = 24 * HOUR


def signalled(run, change):
    """Return the run with every signal changed by ``change(number, signal)``."""
    trades = tuple(
        replace(t, signal=t.signal.model_copy(update=change(i, t.signal)))
        for i, t in enumerate(run.trades)
    )
    return replace(run, trades=trades)


def with_models(run, direction=1):
    vote = HeadVote(direction=direction, probability=0.7, confidence=0.8, reason="")
    return signalled(run, lambda i, s: {"votes": {**s.votes, "signal": vote}})


@pytest.fixture(scope="module")
def run():
    return made_run(300)


# What they learned -----------------------------------------------------------------------------


def model_tab(section, name="signal"):
    (choice,) = [block for block in section.blocks if isinstance(block, Choice)]
    return dict(choice.options)[name]


def table_with(blocks, heading):
    return next(b for b in blocks if isinstance(b, Table) and heading in dict(b.headings))


def test_every_model_has_its_figures_by_year():
    section = models_section(chain_learned())
    table = table_with(model_tab(section), "AUC")
    rows = {row[0].text: row for row in table.cells()}
    assert list(rows) == ["2023", "2024", "total"]
    assert rows["2023"][2].text == "0.580"
    assert rows["2023"][2].tone == "good"
    assert rows["2024"][2].tone == "weak"
    assert {percent(0.18), percent(0.023)} <= {cell.text for cell in rows["total"]}


def test_calibration_is_drawn_before_and_after():
    charts = [b for b in model_tab(models_section(chain_learned())) if isinstance(b, Chart)]
    (chart,) = charts
    assert "they miss by 2.0 %, by 12.0 % before calibration" in chart.sentence
    names = [trace.name for trace in chart.figure.data]
    assert names == ["promise kept", "before calibration", "calibrated"]
    before, after = chart.figure.data[1:]
    assert list(after.y - after.x) == pytest.approx([2.0] * 9)
    assert list(before.y - before.x) == pytest.approx([-12.0] * 9)


def test_features_are_told_with_how_steady_they_are():
    table = table_with(model_tab(models_section(chain_learned())), "feature")
    assert [row[0].text for row in table.cells()] == ["rsi_14", "atr_pct"]
    assert table.cells()[0][1].text == percent(0.25)
    assert table.cells()[1][1].bar == pytest.approx(0.15 / 0.25)
    assert "much the same (rank correlation 0.80)" in table.caption


def test_a_chain_that_was_not_judged_says_so():
    (block,) = models_section(Learned("chain-9", 4, None)).blocks
    assert isinstance(block, Text)
    assert "chain-9 of 4 vintages" in block.text
    assert models_section(None) is None


# Where they are --------------------------------------------------------------------------------


def store_of(folder, count=3):
    """Publish a chain of vintages, the first valid from the run's first candles on."""
    store = ModelStore(folder)
    keys = []
    for i in range(count):
        valid_from = FIRST + (10 + 20 * i) * DAY
        vintage = Vintage(
            key=dated_name(valid_from, "x"), valid_from=valid_from, cut_off=valid_from - 4 * DAY,
            horizon_ms=2 * DAY, embargo_ms=DAY, train_start=valid_from - 90 * DAY, rows=500,
            timeframe="1h", pairs=PAIRS, features=("a",), labels={}, models={}, metrics={},
        )  # fmt: skip
        keys.append(store.write(vintage, {"x": b"x"}).key)
    return store, store.publish(keys, "test"), [store.find(key).valid_from for key in keys]


def test_the_walk_is_that_of_the_chain_in_use(run, tmp_path):
    store, chain, starts = store_of(tmp_path)
    save_evidence(store.root, chain_evidence(chain.id, tuple(starts)))
    voted = with_models(run)
    found, walk = learned(store.root, voted, SETTINGS)
    assert (found.chain, found.vintages, found.evidence.chain) == (chain.id, 3, chain.id)
    assert [w.test_start for w in walk.windows] == starts
    assert [w.test_end for w in walk.windows[:-1]] == starts[1:]
    assert walk.windows[0].metrics["signal, AUC"].estimate == pytest.approx(0.05)
    opened = np.array([t.fills[0].at.timestamp() * 1000 for t in run.trades])
    taken = [t for t, at in zip(run.trades, opened, strict=True) if starts[0] <= at < starts[1]]
    mean = np.mean([t.r_multiple for t in taken])
    assert walk.windows[0].metrics["trades, R"].estimate == pytest.approx(mean)
    page = lay_out(voted, Inputs(walks=[walk], models=found), SETTINGS)
    assert {"walk", "models"} <= {section.anchor for section in page.sections}


def test_windows_before_and_after_the_run_are_left_out(run, tmp_path):
    store, _, starts = store_of(tmp_path)
    later = replace(with_models(run), first=starts[1] + DAY, last=starts[2] - DAY)
    _, walk = learned(store.root, later, SETTINGS)
    assert [w.test_start for w in walk.windows] == starts[1:2]


def test_models_that_did_not_vote_are_not_shown(run, tmp_path):
    store, _, _ = store_of(tmp_path)
    assert not models_voted(run)
    assert learned(store.root, run, SETTINGS) == (None, None)
    assert learned(tmp_path / "none", with_models(run), SETTINGS) == (None, None)


def test_damaged_evidence_is_named(run, tmp_path):
    store, chain, _ = store_of(tmp_path)
    path = evidence_path(store.root, chain.id)
    path.parent.mkdir()
    path.write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match=path.name):
        learned(store.root, with_models(run), SETTINGS)


def test_heads_that_vote_otherwise_than_in_the_run_are_noticed(run):
    candles = run.candles[PAIRS[0]]
    votes = run.trades[0].signal.votes
    stated = [(v.direction, v.probability, v.confidence) for v in votes.values()]
    frame = published([stated] * len(candles))
    frame["vote_signal"] = np.full(len(candles), 0.7, np.float32)
    heads = [head.name for head in HEADS]
    table = decide(frame, candles.time, heads, WEIGHTS, Settings().consensus)
    own = tuple(
        replace(t, signal=t.signal.model_copy(update={"votes": votes}))
        for t in run.trades
        if t.pair == PAIRS[0]
    )
    own = replace(run, trades=own, tables={PAIRS[0]: table})
    assert votes_changed(with_models(own, 1)) == ({}, len(own.trades))
    assert votes_changed(with_models(own, -1)) == ({"signal": len(own.trades)}, len(own.trades))
    assert votes_changed(own) == ({"signal": len(own.trades)}, len(own.trades))
    assert votes_changed(replace(own, tables={})) == ({}, 0)


# Promises --------------------------------------------------------------------------------------


def promising(run, rate, share=1.0):
    """Let a meta-model promise ``rate(trade)`` on a share of the trades."""
    few = int(share * len(run.trades))
    return signalled(
        run,
        lambda i, s: (
            {"expected_win_rate": rate(run.trades[i]), "expected_r": 0.1} if i < few else {}
        ),
    )


def words_of(section):
    return " ".join(
        block.text if isinstance(block, Text) else getattr(block, "sentence", "")
        for block in section.blocks
    )


def confidence_of(run):
    return confidence_section(measure(run, SETTINGS), SETTINGS)


def test_without_a_meta_model_the_band_promises(run):
    section = confidence_of(run)
    assert "rule of the band; no meta-model spoke" in words_of(section)
    assert "promises" not in {getattr(block, "name", "") for block in section.blocks}


def test_a_meta_model_that_knows_keeps_its_promises(run):
    rng = np.random.default_rng(0)
    honest = promising(
        run, lambda t: float(np.clip(rng.uniform(0.05, 0.25) + 0.7 * (t.profit > 0), 0, 1))
    )
    text = words_of(confidence_of(honest))
    assert "promised by the meta-model." in text
    assert "ranking of trades is better than a coin's" in text
    assert "better than always promising the realised rate" in text


def test_a_promise_that_is_too_high_is_called_so(run):
    rng = np.random.default_rng(0)
    boasting = promising(run, lambda t: float(rng.uniform(0.85, 0.95)), share=0.5)
    found = measure(boasting, SETTINGS)
    section = confidence_section(found, SETTINGS)
    assert "meta-model for 150 trades, and by the rule of the band for the other 150" in words_of(
        section
    )
    assert "the promise was too high" in words_of(section)
    deciles = table_with(section.blocks, "promise")
    assert sum(int(row[1].text) for row in deciles.cells()) == 150
    ledger = found.ledger
    rows = np.flatnonzero(ledger.modelled)
    lowest = rows[np.argsort(ledger.promised[rows])[:15]]
    first = deciles.cells()[0]
    assert first[3].text == percent(float(ledger.won[lowest].mean()))
    assert first[6].text == number(float(ledger.multiple[lowest].mean()), 3, sign=True)
    (check,) = [
        c for c in judge(boasting, found, Inputs(), SETTINGS).checks if "promised" in c.question
    ]
    assert "meta-model: promised 90 %" in check.answer
    assert "rule of the band: promised" in check.answer


def test_what_was_stated_stands_beside_what_was_measured(run):
    measured = {"measured_confidence": 0.65, "measured_win_rate": 0.4, "measured_r": -0.1}
    in_force = {"expected_win_rate": 0.4, "expected_r": -0.1}
    few = signalled(run, lambda i, s: {**measured, **in_force} if i < 150 else {})
    section = confidence_of(few)
    table = table_with(section.blocks, "stated band")
    assert sum(int(row[1].text) for row in table.cells()) == 150
    assert {row[3].text for row in table.cells()} == {percent(0.4)}
    assert "what earlier signals did for 150 trades, and by the rule of the band" in words_of(
        section
    )
    by = {row[3].text for row in table_with(section.blocks, "band").cells()}
    assert all(text.startswith("measured for") for text in by)
    assert all(block.headings[0][0] != "stated band" for block in confidence_of(run).blocks
               if isinstance(block, Table))  # fmt: skip


def test_bands_say_who_promised(run):
    section = confidence_of(promising(run, lambda t: 0.5, share=0.5))
    by = {row[3].text for row in table_with(section.blocks, "band").cells()}
    assert all(text.startswith("meta-model for") for text in by)
    everyone = confidence_of(promising(run, lambda t: 0.5))
    assert {r[3].text for r in table_with(everyone.blocks, "band").cells()} == {"meta-model"}

"""The record of a walk-forward and its verdict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from quorum.errors import DataError
from quorum.tuning.loss import LossSettings, Outcome, promised
from quorum.tuning.studies import TrialRecord
from quorum.tuning.table import render
from quorum.tuning.verdict import judge
from quorum.tuning.walk import Judged, Trials, WalkFolder, WindowResult

DAY = 86_400_000
DAYS = 120
PROMISES = promised((0.8, 0.7, 0.6))


def outcome(seed: int, edge: float) -> Outcome:
    """A trade a day with a mean profit of ``edge`` on a capital of 1."""
    profit = np.random.default_rng(seed).normal(edge, 0.01, DAYS)
    return Outcome(np.arange(DAYS) * DAY, profit, ["medium"] * DAYS, 0, DAYS * DAY, 1.0)


def judged(seed: int, edge: float) -> Judged:
    return Judged.of(outcome(seed, edge), PROMISES, LossSettings())


def trial(number: int, edge: float, seed: int = 0) -> TrialRecord:
    daily = outcome(100 * seed + number, edge).daily_returns()
    return TrialRecord(number, -edge, {"buy": {"gate": 0.65 + number / 100}}, daily, DAYS)


def window(index: int, tuned: float, configured: float, gate: float = 0.7) -> WindowResult:
    """A window with one trial that is better in sample, by what ``tuned`` says."""
    # Trials alike but for one: little is tried, so luck explains little.
    same = trial(0, 0.0, index)
    others = [replace(same, number=n) for n in range(1, 6)]
    best = replace(trial(6, tuned, index), loss=-1.0)
    return WindowResult(
        index=index,
        train=f"2023010{index}-2023020{index}",
        judge=f"2023020{index}-2023030{index}",
        parameters={"buy": {"gate": gate}},
        ranges={"gate": (0.6, 0.8)},
        trials=Trials.of([same, *others, best]),
        tuned=judged(1000 + index, tuned),
        configured=judged(1000 + index, configured),
    )


def text(results, verdict) -> str:
    console = Console(width=160)
    with console.capture() as capture:
        console.print(render(results, verdict))
    return capture.get()


def test_an_edge_that_lasts_is_better_than_none():
    results = [window(i, 0.006, 0.0) for i in range(4)]
    verdict = judge(results)
    assert verdict.better
    assert verdict.reasons == ()
    assert verdict.won == verdict.windows == 4
    assert verdict.deflated > 0.95
    assert "better than the default" in text(results, verdict)


def test_default_parameters_that_do_better_are_said_to_be_better():
    results = [window(i, 0.0, 0.004) for i in range(4)]
    verdict = judge(results)
    assert not verdict.better
    assert verdict.sentence == "The default parameters are better: do not use the tuned ones."
    assert verdict.won == 0
    printed = text(results, verdict)
    assert verdict.sentence in printed
    assert all(reason in printed for reason in verdict.reasons)


def test_a_small_advantage_is_not_taken_for_proof():
    results = [window(i, 0.0004, 0.0002) for i in range(4)]
    verdict = judge(results)
    assert verdict.tuned.loss < verdict.configured.loss
    assert not verdict.better
    assert "not proven" in verdict.sentence
    assert any("deflated Sharpe ratio" in reason for reason in verdict.reasons)


def test_the_same_parameters_are_nothing_better():
    verdict = judge([window(0, 0.001, 0.001)])
    assert "nothing better" in verdict.sentence


def test_every_trial_of_every_window_is_counted():
    results = [window(i, 0.0, 0.0) for i in range(3)]
    assert judge(results).trials == 21
    more = [replace(r, trials=replace(r.trials, sharpes=r.trials.sharpes * 20)) for r in results]
    assert judge(more).deflated < judge(results).deflated


def test_the_record_is_of_the_judged_spans_one_after_the_other():
    results = [window(i, 0.002, 0.0) for i in range(2)]
    tuned = judge(results).tuned
    daily = np.concatenate([r.tuned.daily for r in results])
    assert np.exp(tuned.growth * 2 * DAYS / 365) == pytest.approx(np.prod(1 + daily))
    assert tuned.trades == 2 * DAYS
    assert tuned.wins == int((daily > 0).sum())


def test_a_choice_that_jumps_is_shown_to():
    verdict = judge([window(0, 0, 0, gate=0.62), window(1, 0, 0, gate=0.72)])
    (gate,) = verdict.stability
    assert gate.values == (0.62, 0.72)
    assert gate.spread == pytest.approx(0.5)


def test_the_best_trial_has_the_smallest_loss_and_the_first_is_the_configured_one():
    trials = Trials.of([trial(0, 0.001), trial(1, 0.003), trial(2, 0.002)])
    assert (trials.best, trials.best_loss, trials.configured_loss) == (1, -0.003, -0.001)
    assert trials.count == 3
    assert 2 < trials.effective <= 3


def test_one_trial_leaves_overfitting_unknown_and_nothing_proven():
    trials = Trials.of([trial(0, 0.01)])
    assert trials.overfitting is None
    verdict = judge([replace(window(0, 0.01, 0.0), trials=trials)])
    assert not verdict.better
    assert any("overfitting is unknown" in reason for reason in verdict.reasons)


def test_spans_without_trades_have_a_verdict():
    none = Outcome(np.zeros(0, np.int64), np.zeros(0), [], 0, DAYS * DAY, 1.0)
    still = Judged.of(none, PROMISES, LossSettings())
    verdict = judge([replace(window(0, 0, 0), tuned=still, configured=still)])
    assert (verdict.tuned.trades, verdict.deflated) == (0, None)
    assert not verdict.better


# What is kept ----------------------------------------------------------------------------------


def test_a_finished_window_is_read_back_as_it_was(tmp_path):
    walk = WalkFolder(tmp_path / "run", {"epochs": 5})
    assert walk.finished(0) is None
    kept = window(0, 0.001, 0.0)
    walk.keep(kept)
    assert WalkFolder(tmp_path / "run", {"epochs": 5}).finished(0) == kept
    assert walk.finished(1) is None


def test_a_run_with_other_inputs_is_refused_and_says_which(tmp_path):
    WalkFolder(tmp_path, {"epochs": 5, "pairs": ["A"]})
    with pytest.raises(DataError, match=r"epochs was 5, is 6.*another --name"):
        WalkFolder(tmp_path, {"epochs": 6, "pairs": ["A"]})


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"index": 0}'])
def test_a_damaged_window_is_named(tmp_path, content):
    walk = WalkFolder(tmp_path, {})
    walk.window(0).write_text(content)
    with pytest.raises(DataError, match=r"window-00.json: is no result"):
        walk.finished(0)


@pytest.mark.parametrize("content", ["", "[1]", "5"])
def test_damaged_inputs_are_named(tmp_path, content):
    (tmp_path / "inputs.json").write_text(content)
    with pytest.raises(DataError, match=r"inputs.json: cannot be read"):
        WalkFolder(tmp_path, {"a": 1})

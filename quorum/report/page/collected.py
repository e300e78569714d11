"""What training and tuning left on disk: the windows they walked through, and what came out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from quorum.errors import DataError
from quorum.evidence.bootstrap import Interval
from quorum.evidence.performance import sharpe
from quorum.learning.evidence_document import Evidence, load_evidence
from quorum.learning.manifest import ChainManifest
from quorum.learning.stored import StoredModels
from quorum.report.page.inputs import Learned, Panel, Trials, Walk, Window
from quorum.report.page.learned import interval_of
from quorum.report.page.ledger import read_ledger
from quorum.report.page.outcomes import outcome
from quorum.report.page.run import PageSettings, Run
from quorum.tuning.walk import WindowResult
from quorum.tuning.windows import read_timerange

#: Heads that only a trained model can vote for.
MODEL_HEADS = ("signal", "ensemble")
#: Models drawn over time; regimes are another question on another scale.
PARTS = (*MODEL_HEADS, "meta")
#: AUC of a model that knows nothing.
CHANCE = 0.5
#: How the trades of a run are called among the metrics of a window.
TRADES = "trades, R"
#: Probabilities of a stored vote and of one computed again that are the same.
SAME = 1e-3


def models_voted(run: Run) -> bool:
    """Tell whether any trade of a run was opened with the vote of a model."""
    return any(t.signal is not None and set(MODEL_HEADS) & set(t.signal.votes) for t in run.trades)


def votes_changed(run: Run) -> tuple[dict[str, int], int]:
    """Count by head the trades on which it votes otherwise today, and the trades compared.

    Models were trained again since, or records or candles are others: what the tables of the run
    say is then not what the run traded on.
    """
    changed: Counter[str] = Counter()
    known = 0
    for trade in run.trades:
        table, signal = run.tables.get(trade.pair), trade.signal
        row = None
        if table is not None and signal is not None:
            row = table.row_at(int(signal.timestamp.timestamp() * 1000))
        if table is None or signal is None or row is None:
            continue
        known += 1
        then = {name: vote.direction * vote.probability for name, vote in signal.votes.items()}
        votes = table.votes
        now = {
            name: float(votes.direction[row, h] * votes.probability[row, h])
            for h, name in enumerate(votes.heads)
            if votes.available[row, h]
        }
        changed.update(
            name
            for name in {*then, *now}
            if (name in then) != (name in now) or abs(then[name] - now[name]) > SAME
        )
    return dict(changed.most_common()), known


def learned(root: Path, run: Run, settings: PageSettings) -> tuple[Learned | None, Walk | None]:
    """Return what is known of the chain of models in use, and its walk; None without votes of any.

    Raises
    ------
    DataError
        If the store or its evidence cannot be read.
    """
    if not root.is_dir() or not models_voted(run):
        return None, None
    store = StoredModels(root)
    chain = store.current()
    if chain is None:
        return None, None
    evidence = load_evidence(store.root, chain.id)
    found = Learned(chain.id, len(chain.vintages), evidence)
    return found, _walk(store, chain, evidence, run, settings)


def _walk(
    store: StoredModels,
    chain: ChainManifest,
    evidence: Evidence | None,
    run: Run,
    settings: PageSettings,
) -> Walk | None:
    """Return the walk of a chain: its models' skill, and the trades, while each was the newest."""
    known = {manifest.key: manifest for manifest in store.vintages()}
    vintages = [known[key] for key in chain.vintages if key in known]
    if not vintages:
        return None
    ends = [*(v.valid_from for v in vintages[1:]), max(run.last, vintages[-1].valid_from + 1)]
    ledger = read_ledger(run.trades)
    windows = []
    for vintage, end in zip(vintages, ends, strict=True):
        if end <= run.first or vintage.valid_from > run.last:
            continue  # it was never the newest during the run
        metrics = {} if evidence is None else _skills(vintage.valid_from, evidence)
        taken = (ledger.opened >= vintage.valid_from) & (ledger.opened < end)
        if taken.any():
            metrics[TRADES] = outcome(ledger.multiple[taken], settings)
        windows.append(Window(vintage.train_start, vintage.valid_from, end, metrics))
    panels = (
        Panel("AUC above 0.5 in the test window", [f"{part}, AUC" for part in PARTS]),
        Panel("log loss saved on the base rates in the test window, nats",
              [f"{part}, saved" for part in PARTS]),
        Panel("mean result of the trades of the run, R", [TRADES]),
    )  # fmt: skip
    return (
        Walk(f"Models of chain {chain.id}", windows, _drawn(panels, windows)) if windows else None
    )


def _skills(valid_from: int, evidence: Evidence) -> dict[str, Interval]:
    """Return the skill of each model while one vintage was the newest."""
    found = {}
    for part in PARTS:
        model = evidence.models.get(part)
        turn = next((t for t in model.turns if t.valid_from == valid_from), None) if model else None
        if turn is not None:
            found[f"{part}, AUC"] = interval_of(turn.auc, evidence.level, CHANCE)
            found[f"{part}, saved"] = interval_of(turn.gain_on_majority, evidence.level)
    return found


def _drawn(panels: Sequence[Panel], windows: Sequence[Window]) -> list[Panel]:
    """Leave out what no window knows."""
    there = {name for window in windows for name in window.metrics}
    kept = [Panel(p.title, [name for name in p.measures if name in there]) for p in panels]
    return [panel for panel in kept if panel.measures]


def _alone(value: float, level: float) -> Interval:
    """Return an estimate whose interval is not known."""
    return Interval(value, math.nan, math.nan, level)


def tuning_walk(folder: Path) -> tuple[Walk, Trials | None]:
    """Return the walk of a tuning run, and what its search leaves of its Sharpe ratio.

    Raises
    ------
    DataError
        If the folder holds no finished window, or a damaged one.
    """
    files = sorted(folder.glob("window-*.json"))
    if not files:
        raise DataError(f"{folder}: holds no finished window of quorum tune")
    results = [WindowResult.read(path) for path in files]
    windows = [_window(result) for result in results]
    panel = Panel("Sharpe in the test", ["tuned, Sharpe", "configured, Sharpe"])
    return Walk(f"Tuning {folder.name}", windows, [panel]), _trials(results)


def _window(result: WindowResult) -> Window:
    (start, _), (judged, end) = read_timerange(result.train), read_timerange(result.judge)
    return Window(
        int(start.timestamp() * 1000),
        int(judged.timestamp() * 1000),
        int(end.timestamp() * 1000),
        {
            "tuned, Sharpe": _alone(float(sharpe(np.array(result.tuned.daily))), 0.95),
            "configured, Sharpe": _alone(float(sharpe(np.array(result.configured.daily))), 0.95),
        },
    )


def _trials(results: Sequence[WindowResult]) -> Trials | None:
    """Return all trials and the mean chance that a window's best is better than luck."""
    known = [r.trials.deflated for r in results if r.trials.deflated is not None]
    if not known:
        return None
    mean = float(np.mean(known))
    return None if math.isnan(mean) else Trials(sum(r.trials.count for r in results), mean)

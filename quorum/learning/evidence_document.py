"""The evidence document: what was measured of a chain, saved beside it (spec M5, M9).

``<store>/evidence/<chain id>.json``; anything unknown or undefined is null.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

from pydantic import Field, ValidationError

from quorum.errors import DataError
from quorum.evidence.bootstrap import Interval
from quorum.learning.disk import PATIENCE, Desk, StoreError
from quorum.learning.stored import NAME, StoredModels
from quorum.section import Section

FORMAT_VERSION = 1
FOLDER = "evidence"
#: Name of the period that is all years together.
TOTAL = "total"


class Range(Section):
    """An estimate and the interval that holds the truth with the document's confidence."""

    estimate: float | None = Field(None, description="null where it is not defined")
    low: float | None = Field(None, description="null where it cannot be told")
    high: float | None = Field(None, description="null where it cannot be told")

    @classmethod
    def of(cls, interval: Interval) -> Range:
        """Return the range of an interval."""
        return cls(
            estimate=known(interval.estimate), low=known(interval.low), high=known(interval.high)
        )

    def above(self, value: float) -> bool:
        """Whether all of it is above ``value``."""
        return self.low is not None and self.low > value

    def below(self, value: float) -> bool:
        """Whether all of it is below ``value``."""
        return self.high is not None and self.high < value


class Trades(Section):
    """Trades of one pair do not overlap; results after fees, slippage and funding."""

    count: int = Field(description="trades")
    mean_r: Range = Field(description="mean result [R]")
    total_r: float = Field(description="sum of the results [R]")
    win_rate: float | None = Field(description="share that paid anything")


class Baseline(Section):
    """What a forecaster without a model reaches on the same rows."""

    log_loss: float | None = Field(description="[nats]")
    brier: float | None = Field(description="sum over the classes, 0 to 2")
    auc: Range = Field(description="shuffled: over the shifts; else the estimate alone")
    trades: Trades | None = Field(None, description="always in the market, on its likelier side")
    mean_r: Range | None = Field(None, description="shuffled: of the model's own trades [R]")


class Figures(Section):
    """One model in one period, on rows that its models had not seen."""

    rows: int = Field(description="rows measured on")
    days: int = Field(description="days they are from")
    log_loss: Range = Field(description="[nats]")
    brier: Range = Field(description="sum over the classes, 0 to 2")
    auc: Range = Field(description="mean over the classes, one against the rest; 0.5 is chance")
    direction_auc: Range | None = Field(
        None, description="up against down where either came; 0.5 is chance"
    )
    gain_on_majority: Range = Field(description="log loss of the base rates less its own [nats]")
    gain_on_momentum: Range = Field(description="log loss of momentum less its own [nats]")
    ece_before: float | None = Field(description="calibration error of the raw probabilities")
    ece_after: float | None = Field(description="calibration error of the calibrated ones")
    coverage: float = Field(description="share of rows with a probability from the threshold")
    precision: Range = Field(description="share of those that came true")
    trades: Trades | None = Field(None, description="trades of its signals")
    leaning: Trades | None = Field(
        None, description="trades if it were always in the market, on its likelier side"
    )
    baselines: dict[str, Baseline] = Field(description="majority, momentum, shuffled")


class Bin(Section):
    """Rows of similar promises: promised and realised rate."""

    promised: float
    realised: float
    low: float = Field(description="Wilson's interval; takes rows for independent")
    high: float
    count: int


class Turn(Section):
    """One model while one vintage was the newest."""

    valid_from: int = Field(description="of the vintage [ms]")
    rows: int = Field(description="rows measured on")
    auc: Range = Field(description="as of the figures")
    gain_on_majority: Range = Field(description="as of the figures [nats]")


class FeatureWeight(Section):
    """What one feature carries of a model."""

    name: str
    gain: float = Field(description="share of the trees' gain, mean over vintages")
    shap: float | None = Field(description="share of the mean absolute SHAP value, the same")
    top: float = Field(description="share of vintages in which it is among the first features")


class Importance(Section):
    """Which features carry a model, and whether they stay the same."""

    features: tuple[FeatureWeight, ...] = Field(description="largest first")
    vintages: int = Field(description="vintages with such a model")
    rank_correlation: float | None = Field(
        description="of the features' weights in a vintage and the next, mean"
    )


class ModelEvidence(Section):
    """One kind of model over the whole chain."""

    name: str
    classes: tuple[int, ...]
    covered: float = Field(description="share of the candles since the first vintage it spoke on")
    periods: dict[str, Figures] = Field(description="by calendar year, and in total")
    turns: tuple[Turn, ...] = Field((), description="by vintage, oldest first")
    reliability: tuple[Bin, ...] = Field(description="in total, over the classes it acts on")
    reliability_before: tuple[Bin, ...] = Field((), description="the same before calibration")
    importance: Importance
    findings: tuple[str, ...] = Field(description="what follows, in sentences")


class Evidence(Section):
    """What a chain's models are worth out of sample."""

    chain: str
    timeframe: str
    pairs: tuple[str, ...]
    first: int = Field(description="first row predicted [ms]")
    last: int = Field(description="last row predicted [ms]")
    threshold: float = Field(description="probability of precision and coverage")
    level: float = Field(description="confidence of the intervals")
    block_days: float = Field(description="longest mean block of the bootstrap [days]")
    models: dict[str, ModelEvidence]
    conclusions: tuple[str, ...] = Field(description="what follows of all, in sentences")


def known(value: float) -> float | None:
    """Return the value, None where it is not finite."""
    return float(value) if math.isfinite(value) else None


def evidence_path(root: Path, chain: str) -> Path:
    """Return where a chain's evidence is; ``root`` is the folder of the store.

    Raises
    ------
    DataError
        If ``chain`` cannot be the id of a chain.
    """
    if not NAME.fullmatch(chain):
        raise DataError(f"{chain!r} is not the id of a chain")
    return root / FOLDER / f"{chain}.json"


def save_evidence(root: Path, evidence: Evidence, patience: float = PATIENCE) -> Path:
    """Save the evidence, and remove that of chains which are no longer stored.

    Raises
    ------
    StoreError
        If it could not be written; what was there stays.
    """
    path = evidence_path(root, evidence.chain)
    content = {"format_version": FORMAT_VERSION, **evidence.model_dump(mode="json")}
    desk = Desk(root, patience)
    try:
        with desk.locked():
            try:
                text = json.dumps(content, indent=1, allow_nan=False).encode() + b"\n"
                desk.move(desk.write_file(path.name, text), path)
                stored = {chain.id for chain in StoredModels(root).chains()}
                for old in sorted(path.parent.glob("*.json")):
                    if old != path and old.stem not in stored:
                        desk.remove(old)
            finally:
                desk.clear()
    except OSError as error:
        raise StoreError(f"{path}: could not be written, {error.strerror or error}") from error
    return path


def load_evidence(root: Path, chain: str) -> Evidence | None:
    """Return the evidence of a chain, None where none was saved.

    Raises
    ------
    DataError
        If it is damaged or of another format version.
    """
    path = evidence_path(root, chain)
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DataError(f"{path}: not whole ({error})") from error
    found = content.pop("format_version", None) if isinstance(content, dict) else None
    if found != FORMAT_VERSION:
        raise DataError(f"{path}: format version {found}, this Quorum reads {FORMAT_VERSION}")
    try:
        return Evidence.model_validate(content)
    except ValidationError as error:
        raise DataError(f"{path}: not the evidence of a chain: {error}") from error

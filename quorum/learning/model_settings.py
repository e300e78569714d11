"""Settings of the boosters, of fitting them, of calibration and of the ensemble (spec M4, M5)."""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

from pydantic import Field, field_validator

from quorum.learning.models import MEMBERS
from quorum.section import Section


class ModelSettings(Section):
    """One kind of boosted trees; a *round* is one tree per class."""

    rounds: int = Field(
        200, ge=1, le=200, description="most rounds; early stopping ends before [rounds]"
    )
    patience: int = Field(
        10, ge=1, le=200, description="rounds without gain out of fold before stopping [rounds]"
    )
    leaves: tuple[int, ...] = Field(
        (4,), min_length=1, max_length=8, description="leaves of a tree: one candidate each"
    )
    learning_rate: float = Field(0.1, gt=0, le=1, description="share of each tree that is added")
    feature_share: float = Field(0.1, gt=0, le=1, description="features each tree may use [share]")
    row_share: float = Field(0.7, gt=0, le=1, description="rows each round is grown on [share]")
    min_rows: int = Field(
        100, ge=1, le=100_000, description="smallest leaf of LightGBM, by its rows [rows]"
    )
    min_hessian: float = Field(
        20.0, ge=0, le=100_000, description="smallest leaf of XGBoost, by the sum of its hessian"
    )
    ridge: ClassVar[float] = 10.0  # L2 penalty of leaf values
    max_bin: ClassVar[int] = 63  # bins of a feature's histogram
    bin_sample: ClassVar[int] = 5000  # rows LightGBM finds the bins on [rows]
    seed: ClassVar[int] = 1  # seed of row and feature sampling


class CalibrationConstants(NamedTuple):
    """How raw probabilities become honest ones."""

    # curves to choose from by log loss out of fold
    methods: tuple[Literal["identity", "sigmoid", "isotonic"], ...] = (
        "identity",
        "sigmoid",
        "isotonic",
    )
    splits: int = 3  # blocks of time of that choice [blocks]


class FittingSettings(Section):
    """How a classifier is fitted inside one training window."""

    lightgbm: ModelSettings = Field(ModelSettings(), description="LightGBM's trees")
    # Its rounds cost four times LightGBM's, and it loses least by fewer, larger steps.
    xgboost: ModelSettings = Field(ModelSettings(learning_rate=0.15), description="XGBoost's trees")
    min_rows: int = Field(300, ge=10, le=10_000_000, description="fewest rows to fit on [rows]")
    # choose among candidates on the newest inner split only, not on all
    prune: ClassVar[bool] = True
    # how probabilities are made honest
    calibration: ClassVar[CalibrationConstants] = CalibrationConstants()


class MetaFittingSettings(Section):
    """How the model of consensus signals is fitted; its trees are LightGBM's."""

    lightgbm: ModelSettings = Field(
        ModelSettings(learning_rate=0.05, feature_share=0.3, min_rows=60, row_share=0.6),
        description="its trees",
    )
    min_rows: int = Field(300, ge=10, le=10_000_000, description="fewest rows to fit on [rows]")
    xgboost: ClassVar[ModelSettings] = ModelSettings(learning_rate=0.15)  # trained by nobody
    prune: ClassVar[bool] = FittingSettings.prune
    calibration: ClassVar[CalibrationConstants] = CalibrationConstants()


class EnsembleSettings(Section):
    """How the members are joined."""

    members: tuple[str, ...] = Field(
        ("lightgbm", "xgboost"),
        min_length=1,
        description="classifiers of the ensemble: lightgbm, xgboost, lstm (extra sequence)",
    )
    method: Literal["stacking", "blending", "voting"] = Field(
        "stacking",
        description="joined by a regression on their log-odds, by weights, or by the plain mean",
    )
    ridge: ClassVar[float] = 0.01  # L2 penalty of the regression, per row of mean loss
    min_rows: ClassVar[int] = 300  # under so many rows the plain mean is used [rows]

    @field_validator("members")
    @classmethod
    def _known_and_different(cls, members: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in members if name not in MEMBERS]
        if unknown:
            raise ValueError(f"no member {', '.join(unknown)}; there are {', '.join(MEMBERS)}")
        if len(set(members)) < len(members):
            raise ValueError("each member once")
        return members

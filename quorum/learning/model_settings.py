"""Settings of the boosters, of fitting them, of calibration and of the ensemble (spec M4, M5)."""

from __future__ import annotations

from typing import Literal

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
    ridge: float = Field(10.0, ge=0, le=1e6, description="L2 penalty of leaf values")
    max_bin: int = Field(63, ge=3, le=255, description="bins of a feature's histogram")
    bin_sample: int = Field(
        5000, ge=100, le=10_000_000, description="rows LightGBM finds the bins on [rows]"
    )
    seed: int = Field(1, ge=0, le=2**31 - 1, description="seed of row and feature sampling")


class CalibrationSettings(Section):
    """How raw probabilities become honest ones."""

    methods: tuple[Literal["identity", "sigmoid", "isotonic"], ...] = Field(
        ("identity", "sigmoid", "isotonic"),
        min_length=1,
        description="curves to choose from by log loss out of fold",
    )
    splits: int = Field(3, ge=2, le=20, description="blocks of time of that choice [blocks]")


class FittingSettings(Section):
    """How a classifier is fitted inside one training window."""

    lightgbm: ModelSettings = Field(ModelSettings(), description="LightGBM's trees")
    # Its rounds cost four times LightGBM's, and it loses least by fewer, larger steps.
    xgboost: ModelSettings = Field(ModelSettings(learning_rate=0.15), description="XGBoost's trees")
    min_rows: int = Field(300, ge=10, le=10_000_000, description="fewest rows to fit on [rows]")
    prune: bool = Field(
        True, description="choose among candidates on the newest inner split only, not on all"
    )
    calibration: CalibrationSettings = Field(
        CalibrationSettings(), description="how probabilities are made honest"
    )


class EnsembleSettings(Section):
    """How the members are joined."""

    members: tuple[str, ...] = Field(
        ("lightgbm", "xgboost"), min_length=1, description="classifiers of the ensemble"
    )
    method: Literal["stacking", "blending", "voting"] = Field(
        "stacking",
        description="joined by a regression on their log-odds, by weights, or by the plain mean",
    )
    ridge: float = Field(
        0.01, ge=1e-6, le=1e3, description="L2 penalty of the regression, per row of mean loss"
    )
    min_rows: int = Field(
        300, ge=10, le=10_000_000, description="under so many rows the plain mean is used [rows]"
    )

    @field_validator("members")
    @classmethod
    def _known_and_different(cls, members: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in members if name not in MEMBERS]
        if unknown:
            raise ValueError(f"no member {', '.join(unknown)}; there are {', '.join(MEMBERS)}")
        if len(set(members)) < len(members):
            raise ValueError("each member once")
        return members

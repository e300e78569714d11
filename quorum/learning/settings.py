"""Settings of learning: what is learned, how often, and how long it may be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field, model_validator

from quorum.learning.folds import FoldSettings
from quorum.learning.head_calibration import HeadCalibrationConstants
from quorum.learning.labels import LabelSettings
from quorum.learning.model_settings import EnsembleSettings, FittingSettings, MetaFittingSettings
from quorum.learning.outcome_weights import OutcomeWeightConstants
from quorum.learning.promotion import PromotionSettings
from quorum.learning.regime_labels import RegimeLabelConstants
from quorum.section import Section


class MetaSettings(Section):
    """The model of consensus signals: how often they win, and what they return (spec M4 d)."""

    enabled: bool = Field(True, description="let it say the expected win rate where it is live")
    confidence: bool = Field(
        False,
        description="let bands and sizing read its probability, as at even odds, instead of the "
        "consensus confidence (C5)",
    )
    horizon_days: ClassVar[float] = 21.0  # age at which every trade counts as ended [days]
    window_days: int = Field(
        1095, ge=0, le=10_000, description="signals learned from, 0: all there are [days]"
    )
    min_signals: int = Field(
        400, ge=50, le=1_000_000, description="ended signals needed for a model [signals]"
    )
    fitting: MetaFittingSettings = Field(MetaFittingSettings(), description="its trees")


class LearningSettings(Section):
    """Walk-forward models: labels, folds, classifiers, and their use."""

    enabled: bool = Field(True, description="use the models of the store, where there are any")
    folder: str = Field("models/quorum", description="store, relative to the user directory [path]")
    retrain: bool = Field(
        False,
        description="a running bot trains again when a refit is due, in a process of its own",
    )
    download: bool = Field(
        True, description="before it does, let the host bring the candles on disk up to date"
    )
    max_age_days: float = Field(
        75.0, gt=0, le=3650, description="age at which a model no longer speaks [days]"
    )
    thin: int = Field(
        2, ge=1, le=100, description="train on every n-th candle: labels overlap anyway [candles]"
    )
    thin_regimes: ClassVar[int] = 8  # the same for regimes, which change slowly [candles]
    labels: LabelSettings = Field(LabelSettings(), description="barriers of the signal models")
    # labels of the regime classifier
    regimes: ClassVar[RegimeLabelConstants] = RegimeLabelConstants()
    regime_days: int = Field(
        365,
        ge=30,
        le=10_000,
        description="history a regime classifier needs, and learns from all of it [days]",
    )
    folds: FoldSettings = Field(FoldSettings(), description="what trains when")
    fitting: FittingSettings = Field(FittingSettings(), description="classifiers (M4 a-c)")
    ensemble: EnsembleSettings = Field(EnsembleSettings(), description="how they are joined")
    meta: MetaSettings = Field(MetaSettings(), description="the model of consensus signals")
    # hit rates of the heads (consensus.calibrated)
    head_calibration: ClassVar[HeadCalibrationConstants] = HeadCalibrationConstants()
    # weights by outcome (consensus.weights)
    outcome_weights: ClassVar[OutcomeWeightConstants] = OutcomeWeightConstants()
    promotion: PromotionSettings = Field(
        PromotionSettings(), description="what a new vintage must show to be used (M8)"
    )

    @model_validator(mode="after")
    def _speaks_until_the_next(self) -> LearningSettings:
        if self.max_age_days < self.folds.refit_days:
            raise ValueError(
                f"max_age_days {self.max_age_days:g} is under folds.refit_days "
                f"{self.folds.refit_days}: models would fall silent before the next are trained"
            )
        return self

    def store(self, user_data: Path | str) -> Path:
        """Return where the models of a user directory live."""
        return Path(user_data) / self.folder


def with_constants(section: Section) -> dict[str, object]:
    """Return the settings of a section and the constants that stand beside them, as a tree."""
    tree: dict[str, object] = {}
    for name in (*type(section).model_fields, *sorted(type(section).__class_vars__)):
        value = getattr(section, name)
        if isinstance(value, Section):
            tree[name] = with_constants(value)
        else:
            tree[name] = value._asdict() if hasattr(value, "_asdict") else value
    return tree


def label_settings(settings: LearningSettings) -> dict[str, object]:
    """Return the settings that decide what the models' classes mean."""
    return {
        "barriers": with_constants(settings.labels),
        "regimes": settings.regimes._asdict(),
    }

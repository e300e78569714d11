"""Requirements: what models must have been trained with to be used now (spec M13)."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from quorum.features import compute_features, feature_constants
from quorum.learning.dataset import feature_names
from quorum.learning.manifest import Expected
from quorum.learning.settings import label_settings
from quorum.market import Frames, build_market
from quorum.settings import Settings

COLUMNS = ("open", "high", "low", "close", "volume")


def expected_models(settings: Settings, timeframe: str, pairs: Sequence[str]) -> Expected:
    """Return what the models of a configuration must be.

    Parameters
    ----------
    settings : Settings
    timeframe : str
        Base timeframe.
    pairs : sequence of str
        Those that are traded.
    """
    return Expected(
        features=learned_columns(timeframe),
        timeframe=timeframe,
        labels=label_settings(settings.learning),
        settings=feature_constants(),
        heads=tuple(head.name for head in settings.enabled_heads()),
        pairs=tuple(pairs),
    )


def learned_columns(timeframe: str) -> tuple[str, ...]:
    """Return the columns models learn from; they do not depend on the market, nor need one."""
    frame = pd.DataFrame({name: pd.Series(dtype="float64") for name in COLUMNS})
    frame.insert(0, "date", pd.Series(dtype="datetime64[ms, UTC]"))
    nothing = build_market("", timeframe, Frames(frame, {}))
    return feature_names(compute_features(nothing))

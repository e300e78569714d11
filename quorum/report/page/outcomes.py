"""Outcomes: what some trades made on average."""

from __future__ import annotations

import numpy as np

from quorum.evidence.bootstrap import Interval, bootstrap_interval
from quorum.report.page.measures import mean
from quorum.report.page.run import PageSettings
from quorum.typing import Floats

#: Groups of equal size that trades are put in, from the least promising to the most.
DECILES = 10


def outcome(values: Floats, settings: PageSettings) -> Interval:
    """Return the mean of some trades' results with its interval."""
    known = values[np.isfinite(values)]
    return bootstrap_interval(known, mean, level=settings.level, runs=settings.runs)

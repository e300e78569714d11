"""Settings of ``quorum doctor``: apart from its checks, for the tree of settings imports them."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from quorum.section import Section


class DoctorSettings(Section):
    """Limits of ``quorum doctor``."""

    # deviation from the exchange's clock worth a warning [ms]
    clock_warning: ClassVar[float] = 500.0
    clock_problem: ClassVar[float] = 1000.0  # deviation with which signed requests are refused [ms]
    model_age: float = Field(45.0, gt=0, description="age at which the models are called old [d]")
    free_disk: float = Field(
        1.0, ge=0, description="free space below which there is a warning [GB]"
    )
    calls: ClassVar[int] = 5  # requests per pair the host allows for the start-up history

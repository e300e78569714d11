"""The sizing section: what the methods share, and one group for each of them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from quorum.section import Section
from quorum.sizing.bands import BandsSettings
from quorum.sizing.confluence import ConfluenceSettings
from quorum.sizing.elite_settings import EliteSettings

WinRate = Annotated[float, Field(ge=0, le=1)]


class SizingSettings(Section):
    """How a confidence becomes a stake."""

    method: Literal["bands", "confluence", "elite"] = Field("bands", description="sizing method")
    basis: Literal["notional", "risk"] = Field(
        "notional",
        description="what the percentage of the bands is: position value, or what is lost at "
        "the stop",
    )
    max_percent: float = Field(
        10.0, gt=0, le=100, description="largest position value, of any method [% of capital]"
    )
    min_order: float = Field(
        0.0, ge=0, description="smallest order beside the exchange's own minimum [quote units]"
    )
    #: What the factors together leave of a size by bands or confluence at least.
    least_product: ClassVar[float] = 0.4
    win_rate: tuple[WinRate, WinRate, WinRate] = Field(
        (0.80, 0.70, 0.60),
        description="win rate promised by very high, high, medium until outcomes are measured",
    )
    bands: BandsSettings = Field(BandsSettings(), description="sizing by confidence band")
    confluence: ConfluenceSettings = Field(
        ConfluenceSettings(), description="sizing by confluence score"
    )
    elite: EliteSettings = Field(EliteSettings(), description="sizing by a risk budget")

    @model_validator(mode="after")
    def _better_bands_promise_more(self) -> SizingSettings:
        very_high, high, medium = self.win_rate
        if not very_high >= high >= medium:
            raise ValueError(f"win_rate must fall from very high to medium, got {self.win_rate}")
        return self

"""Settings of the playbooks: which are on, and how much each may use."""

from __future__ import annotations

from pydantic import Field

from quorum.candles import timeframe_ms
from quorum.errors import SettingsError
from quorum.section import Section


class TrendSettings(Section):
    """Hold what rises, sized by its volatility."""

    enabled: bool = Field(False, description="whether its columns are published")
    budget: float = Field(1.0, gt=0, le=5, description="factor on its sizes [1]")


class WashoutSettings(Section):
    """Bid far below what rises, out after four hours."""

    enabled: bool = Field(False, description="whether its columns are published")
    budget: float = Field(
        0.5, gt=0, le=5, description="factor on its sizes: half until live fills are known [1]"
    )


class PlaybookSettings(Section):
    """Which playbooks are on; the consensus of the heads is one of them, and always on."""

    trend: TrendSettings = Field(TrendSettings(), description="playbook trend")
    washout: WashoutSettings = Field(WashoutSettings(), description="playbook washout")

    def refuse(self, timeframe: str) -> None:
        """Refuse base candles that a playbook that is on cannot work with.

        Raises
        ------
        SettingsError
        """
        if self.trend.enabled and timeframe_ms(timeframe) >= timeframe_ms("4h"):
            raise SettingsError(
                f"quorum.playbooks.trend.enabled = True: needs candles shorter than 4h, "
                f"timeframe = {timeframe!r}"
            )
        if self.washout.enabled and timeframe != "1h":
            raise SettingsError(
                f"quorum.playbooks.washout.enabled = True: needs 1h candles, "
                f"timeframe = {timeframe!r}"
            )

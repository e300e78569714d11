"""Settings of the candle journal: apart from it, for the tree of settings imports them."""

from __future__ import annotations

from pydantic import Field

from quorum.section import Section


class JournalSettings(Section):
    """The journal that ``quorum parity`` compares with a backtest."""

    enabled: bool = Field(True, description="whether a running bot journals its candles")
    keep_days: int = Field(60, ge=1, le=3650, description="age of the oldest day kept [d]")
    max_megabytes: float = Field(
        500.0, gt=0, le=1e6, description="size beyond which the oldest days go [MB]"
    )

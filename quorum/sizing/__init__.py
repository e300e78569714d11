"""How much is staked: one method per file, registered here."""

from __future__ import annotations

from quorum.sizing.bands import Bands
from quorum.sizing.base import Size, SizeRequest, SizingMethod
from quorum.sizing.confluence import Confluence
from quorum.sizing.elite import Elite
from quorum.sizing.settings import SizingSettings

__all__ = ["METHODS", "Size", "SizeRequest", "SizingMethod", "SizingSettings", "sizing_method"]

METHODS: dict[str, type[SizingMethod]] = {
    method.name: method for method in (Bands, Confluence, Elite)
}


def sizing_method(settings: SizingSettings) -> SizingMethod:
    """Return the method that ``sizing.method`` names."""
    return METHODS[settings.method](settings)

"""Providers that are not there: a server of all wire formats, and an analyst who answers."""

from __future__ import annotations

from quorum.advisors.simulated.analyst import SIMULATED, Analyst
from quorum.advisors.simulated.server import Fault, ProviderServer

__all__ = ["SIMULATED", "Analyst", "Fault", "ProviderServer"]

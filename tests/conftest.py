"""Fixtures shared by the tests."""

from __future__ import annotations

import pytest
from markets import full_market

from quorum import faults
from quorum.market import Market


@pytest.fixture(autouse=True, scope="module")
def _no_faults_yet() -> None:
    """Forget the faults that other modules have provoked."""
    faults._reported.clear()


@pytest.fixture(scope="session")
def market() -> Market:
    return full_market()

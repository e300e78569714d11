"""Fixtures shared by the tests."""

from __future__ import annotations

import pytest
from markets import full_market

from quorum.market import Market


@pytest.fixture(scope="session")
def market() -> Market:
    return full_market()

"""Fixtures shared by the tests."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import postgres
import pytest
from hypothesis import settings
from markets import full_market
from slow import SLOW
from sqlalchemy import create_engine, text

from quorum import faults
from quorum.market import Market

TESTS = Path(__file__).parent
# A busy machine is no failure: how long a test takes is not what it is about.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the slow tests; see :mod:`slow`."""
    for item in items:
        file = item.path.relative_to(TESTS).as_posix()
        if file in SLOW or f"{file}::{item.name.partition('[')[0]}" in SLOW:
            item.add_marker("slow")


@pytest.fixture(autouse=True, scope="module")
def _no_faults_yet() -> None:
    """Forget the faults that other modules have provoked."""
    faults._reported.clear()


@pytest.fixture(scope="session")
def market() -> Market:
    return full_market()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Yield the address of a PostgreSQL server of this run, or skip saying why there is none."""
    if (reason := postgres.why_not()) is not None:
        pytest.skip(reason)
    with postgres.server() as address:
        yield address.replace("postgresql:", "postgresql+psycopg:")


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """Yield the address of an empty PostgreSQL database."""
    name = f"quorum_{uuid.uuid4().hex[:12]}"
    admin = create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield postgres_server.replace("/postgres?", f"/{name}?")
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def state_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of an empty database of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.sqlite'}"
    return str(request.getfixturevalue("postgres_url"))

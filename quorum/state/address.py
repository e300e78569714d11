"""Addresses of databases, as SQLAlchemy reads them and as they may be shown."""

from __future__ import annotations

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from quorum.errors import DataError


def database_url(address: str, what: str = "database") -> URL:
    """Return the URL of a database; a bare ``postgresql://`` gets the driver of the extra.

    Parameters
    ----------
    address : str
    what : str
        Setting or option it comes from, for the message.

    Raises
    ------
    DataError
        If it is none.
    """
    try:
        url = make_url(address)
    except ArgumentError as error:
        # The text itself may hold a password.
        raise DataError(
            f"{what}: not a database address; give one like sqlite:///state.sqlite or "
            "postgresql://user@host/name"
        ) from error
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    return url


def shown(url: URL | str) -> str:
    """Return an address as it may be printed: without its password."""
    if isinstance(url, str):
        url = database_url(url)
    return url.render_as_string(hide_password=True)

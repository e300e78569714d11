"""Databases: trades and the state of the guards must be kept, and be reachable."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from quorum.doctor.base import Finding, Level, Setup
from quorum.doctor.folders import unwritable

#: Seconds a server is given.
PATIENCE = 5


def databases(setup: Setup) -> Iterator[Finding]:
    """Open every database that the configuration names."""
    for path, text in setup.databases.items():
        try:
            url = make_url(text)
        except ArgumentError:
            yield Finding(
                Level.PROBLEM,
                "no database URL",
                path,
                "write sqlite:///trades.sqlite or postgresql+psycopg://user@host/name",
            )
            continue
        yield _answer(path, url)


def _answer(path: str, url: URL) -> Finding:
    where = f"{path} = {url.render_as_string(hide_password=True)}"
    local = url.get_backend_name() == "sqlite"
    if local and url.database in (None, "", ":memory:"):
        return Finding(
            Level.WARNING,
            "kept in memory only: a restart forgets it",
            where,
            "remove it, or name a file",
        )
    file = Path(str(url.database))
    if local and not file.is_file():
        reason = unwritable(file.parent) if not file.exists() else "it is no file"
        if reason is None:
            return Finding(Level.OK, "will be made at the first start", where)
        return Finding(Level.PROBLEM, f"cannot be made: {reason}", where, "name another file")
    options = {"timeout": PATIENCE} if local else {"connect_timeout": PATIENCE}
    try:
        engine = create_engine(url, connect_args=options)
        try:
            tables = inspect(engine).get_table_names()
        finally:
            engine.dispose()
    except ImportError as error:
        fix = f"pip install {error.name or 'the driver'}"
        return Finding(Level.PROBLEM, f"its driver is not installed: {error}", where, fix)
    except (SQLAlchemyError, OSError) as error:
        reason = _without_password(str(getattr(error, "orig", None) or error), url)
        fix = "start it, or correct the URL"
        return Finding(Level.PROBLEM, f"cannot be opened: {reason}", where, fix)
    return Finding(Level.OK, f"reachable, {len(tables)} tables", where)


def _without_password(text: str, url: URL) -> str:
    """Return a driver's message on one line, without the password it may quote."""
    line = " ".join(text.split())
    return line.replace(str(url.password), "***") if url.password else line

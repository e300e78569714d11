"""Journals of before the state store: a folder per bot, a file of JSON lines per day."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import insert
from sqlalchemy.engine import Connection

from quorum.journal.writing import journal_row
from quorum.state import StateError
from quorum.state.kinds.journal import JOURNAL

_FILE = re.compile(r"\d{4}-\d{2}-\d{2}\.jsonl")
#: Rows written at once.
_BATCH = 500


def copy_journal(bot: str) -> Callable[[Connection, Path], str]:
    """Return what copies a folder of day files into the journal of a bot.

    What cannot be read, a line cut short by a power cut, is counted and left in its file.
    """

    def copy(connection: Connection, folder: Path) -> str:
        copied = damaged = 0
        batch: list[dict[str, Any]] = []
        for path in _day_files(folder):
            for line in _lines(path):
                try:
                    batch.append(journal_row(bot, path.stem, line))
                except (KeyError, TypeError, AttributeError):
                    damaged += 1
                if len(batch) == _BATCH:
                    connection.execute(insert(JOURNAL), batch)
                    copied += len(batch)
                    batch.clear()
        if batch:
            connection.execute(insert(JOURNAL), batch)
        told = f"a journal of {copied + len(batch)} lines"
        return f"{told} ({damaged} could not be read)" if damaged else told

    return copy


def _day_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if _FILE.fullmatch(path.name))


def _lines(path: Path) -> Iterator[Any]:
    """Yield every line of a file, None for one that cannot be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StateError(f"{path}: cannot be taken over: {error}") from error
    for text in content.splitlines():
        try:
            yield json.loads(text)
        except ValueError:
            yield None

"""Following a journal that is still being written, line by line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from quorum.errors import DataError
from quorum.journal.files import day_files
from quorum.journal.reading import Item, Run, item_of


class JournalTail:
    """Reads what was appended to a journal since it was last read.

    Parameters
    ----------
    folder : Path
        Of one bot; it may not exist yet.

    Attributes
    ----------
    damaged : int
        Lines that could not be read so far.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.damaged = 0
        self._runs: dict[str, Run] = {}
        self._day = ""
        self._offset = 0

    def stamp(self) -> tuple[str, int]:
        """Return name and size of the newest file: they change with every line."""
        files = day_files(self.folder)
        return (files[-1].name, files[-1].stat().st_size) if files else ("", 0)

    def read(self) -> Iterator[tuple[str, Item]]:
        """Yield every new line with its position in the journal, ``day:byte``.

        Raises
        ------
        DataError
            If it is the journal of another version of Quorum.
        """
        for path in day_files(self.folder):
            if path.name < self._day:
                continue
            if path.name > self._day:
                self._day, self._offset = path.name, 0
            yield from self._new_lines(path)

    def _new_lines(self, path: Path) -> Iterator[tuple[str, Item]]:
        with path.open("rb") as stream:
            stream.seek(self._offset)
            content = stream.read()
        # Behind the last line break there is nothing, or a line still being written.
        for text in content.split(b"\n")[:-1]:
            position = f"{path.stem}:{self._offset}"
            item = None
            try:
                item = item_of(json.loads(text), self._runs)
            except (KeyError, TypeError, ValueError) as error:
                if isinstance(error, DataError):
                    # It is met again at the next call: nothing behind it can be read.
                    raise DataError(f"{path}: {error}") from error
                self.damaged += 1
            self._offset += len(text) + 1
            if item is not None:
                yield position, item

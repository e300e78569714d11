"""Reading the model store: no lock, every answer is whole.

Layout below its root: ``vintages/<key>/`` (manifest.json and files), ``chains/<id>.json``,
``CURRENT`` (one line, the id of the chain in use), ``history.jsonl`` (which chain was in use when,
and why). See :mod:`quorum.learning.store` for writing.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from quorum.errors import DataError
from quorum.learning.manifest import (
    ChainManifest,
    Expected,
    StoredFile,
    VintageManifest,
    compare,
    from_json,
)
from quorum.section import Section

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
#: What a vintage, a chain, or a part of a file's path may be called.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")

Action = Literal["publish", "promote", "rollback", "recovered"]


class Turn(Section):
    """One line of the history: a chain came into use."""

    time: int = Field(description="when [ms since epoch]")
    id: str = Field(description="chain in use from then on")
    action: Action = Field(description="what made it so")
    reason: str = Field(default="", description="why")


class StoredModels:
    """What is stored below ``root``, which need not exist."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def find(self, key: str) -> VintageManifest | None:
        """Return the manifest of a vintage, None if there is none; files are not read.

        Raises
        ------
        DataError
            Its manifest is damaged, of another format version, or of another vintage.
        """
        path = self._vintage(key) / MANIFEST
        try:
            text = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        manifest = from_json(VintageManifest, text, path)
        if manifest.key != key:
            raise DataError(f"{path}: is the manifest of vintage {manifest.key}, not of {key}")
        return manifest

    def vintages(self) -> tuple[VintageManifest, ...]:
        """Return the manifests of all vintages, oldest first; a damaged one is logged, left out."""
        folder = self.root / "vintages"
        found = []
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            try:
                manifest = self.find(path.name)
            except DataError as error:
                logger.warning("vintage left out: %s", error)
                continue
            if manifest is not None:
                found.append(manifest)
        return tuple(sorted(found, key=lambda m: (m.valid_from, m.key)))

    def read(self, key: str, name: str) -> bytes:
        """Return the content of one file of a vintage.

        Raises
        ------
        DataError
            There is no such vintage or file, or its content is not what was written.
        """
        return self.content(self._known(key), name)

    def content(self, manifest: VintageManifest, name: str) -> bytes:
        """Return a file of a vintage whose manifest has been read, as ``read`` does."""
        key = manifest.key
        if name not in manifest.files:
            raise DataError(f"vintage {key}: has no file {name!r}, only {sorted(manifest.files)}")
        return self._checked(key, name, manifest.files[name])

    def verify(self, key: str) -> VintageManifest:
        """Read every file of a vintage; DataError names the first that is not as written."""
        manifest = self._known(key)
        folder = self._vintage(key)
        for name, described in manifest.files.items():
            self._checked(key, name, described)
        there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()}
        foreign = sorted(there - {MANIFEST, *manifest.files})
        if foreign:
            raise DataError(f"{folder}: holds files that are not of this vintage: {foreign}")
        return manifest

    def check(self, manifest: VintageManifest, expected: Expected) -> None:
        """Raise DataError naming all that makes a vintage unusable: its fit, then its files."""
        differences = compare(manifest, expected)
        if differences:
            raise DataError(
                f"{self._vintage(manifest.key)}: does not fit, train again: "
                + "; ".join(differences)
            )
        if self.verify(manifest.key) != manifest:
            raise DataError(f"{self._vintage(manifest.key)}: was written anew, read it again")

    def current(self) -> ChainManifest | None:
        """Return the chain in use, None if none was published."""
        while True:
            name = self.current_id()
            if name is None:
                return None
            try:
                return self.chain(name)
            except DataError:
                if self.current_id() == name:  # else it was replaced and pruned meanwhile
                    raise

    def chain(self, name: str) -> ChainManifest:
        """Return the chain of that id; DataError if there is none or it is damaged."""
        path = self._chain(name)
        try:
            text = path.read_bytes()
        except FileNotFoundError as error:
            raise DataError(f"{path}: there is no such chain") from error
        chain = from_json(ChainManifest, text, path)
        if chain.id != name:
            raise DataError(f"{path}: is chain {chain.id}, not {name}")
        return chain

    def chains(self) -> tuple[ChainManifest, ...]:
        """Return all chains, oldest first; a damaged one is logged and left out."""
        found = []
        for path in sorted((self.root / "chains").glob("*.json")):
            try:
                found.append(self.chain(path.stem))
            except DataError as error:
                logger.warning("chain left out: %s", error)
        return tuple(sorted(found, key=lambda c: (c.created, c.id)))

    def history(self) -> tuple[Turn, ...]:
        """Return which chain was in use when, oldest first; a damaged line is logged, left out."""
        turns = []
        for number, line in enumerate(self._history_text().splitlines(), 1):
            try:
                turns.append(Turn.model_validate_json(line))
            except ValidationError as error:
                logger.warning("%s: line %d left out: %s", self._history, number, error)
        return tuple(turns)

    @property
    def _history(self) -> Path:
        return self.root / "history.jsonl"

    def _vintage(self, key: str) -> Path:
        return self.root / "vintages" / _named(key, "vintage")

    def _chain(self, name: str) -> Path:
        return self.root / "chains" / f"{_named(name, 'chain')}.json"

    def _known(self, key: str) -> VintageManifest:
        manifest = self.find(key)
        if manifest is None:
            raise DataError(f"{self._vintage(key)}: there is no such vintage")
        return manifest

    def _checked(self, key: str, name: str, described: StoredFile) -> bytes:
        path = self._vintage(key) / name
        try:
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise DataError(f"{path}: missing file of vintage {key}") from error
        if StoredFile.of(content) != described:
            raise DataError(
                f"{path}: corrupted, its checksum is not that of the manifest"
                f" ({len(content)} bytes, {described.size} were written)"
            )
        return content

    def current_id(self) -> str | None:
        """Return the id of the chain in use, None if none was published."""
        path = self.root / "CURRENT"
        try:
            name = path.read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return None
        if not NAME.fullmatch(name):
            raise DataError(f"{path}: {name[:40]!r} is not the id of a chain; promote one")
        return name

    def _history_text(self) -> str:
        try:
            return self._history.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""


def _named(name: str, kind: str) -> str:
    if not NAME.fullmatch(name):
        raise DataError(f"{name!r} is not the name of a {kind}")
    return name

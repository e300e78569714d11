"""Writing the model store: dated models in the user directory, whole or not at all.

Writers exclude each other, readers (:mod:`quorum.learning.stored`) never lock. Every step is
prepared aside and put in place by a rename; a writer that is killed leaves at most something
that no reader sees, and the next writer removes it (spec M6).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from quorum.errors import DataError
from quorum.learning.disk import PATIENCE, Desk, StoreError
from quorum.learning.manifest import (
    ChainManifest,
    StoredFile,
    Vintage,
    VintageManifest,
    compare_trees,
    dated_name,
    require_chain,
    require_dated,
    to_json,
)
from quorum.learning.stored import MANIFEST, NAME, Action, StoredModels, Turn

logger = logging.getLogger(__name__)

#: What the trainer may say differently of one and the same vintage.
_MEASURED = {"metrics", "libraries"}


class Pruned(NamedTuple):
    """Ids of the chains and keys of the vintages that were removed."""

    chains: tuple[str, ...]
    vintages: tuple[str, ...]


class ModelStore(StoredModels):
    """Vintages and chains of models below one folder, to read and to write.

    Parameters
    ----------
    root : Path
        Usually ``<user_data>/models/quorum``; need not exist.
    patience : float, default PATIENCE
        How long a writer waits for another one [s].
    """

    def __init__(self, root: Path, patience: float = PATIENCE) -> None:
        super().__init__(root)
        self._desk = Desk(self.root, patience)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only writer; every writing method is so by itself, a training may be for long.

        Raises
        ------
        StoreError
            Another process writes.
        """
        with self._desk.locked():
            yield

    @contextmanager
    def _step(self) -> Iterator[None]:
        """Do one thing as the only writer; what the disk refuses leaves nothing half-written."""
        try:
            with self._desk.locked():
                try:
                    self._recover()
                    yield
                finally:
                    self._desk.clear()
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            raise StoreError(
                f"{self.root}: could not be written, {error.strerror or error}{where}; nothing is"
                f" half-written, the chain in use is {self._readable_id() or 'none'}"
            ) from error

    def write(self, vintage: Vintage, files: Mapping[str, bytes]) -> VintageManifest:
        """Store a vintage; one that is there and whole is kept, a damaged one replaced.

        Parameters
        ----------
        vintage : Vintage
            What the trainer says of it.
        files : mapping of str to bytes
            Content by path below the vintage, for example ``"signal/member-0.txt"``.

        Returns
        -------
        VintageManifest
            Of what is in the store now.

        Raises
        ------
        DataError
            A label may end after ``valid_from``, a file name cannot be used, or another vintage
            has this key.
        StoreError
            It could not be written; nothing of it is left.
        """
        require_dated(vintage)
        _require_names(files)
        folder = self._vintage(vintage.key)
        with self._step():
            stored = self._whole(vintage)
            if stored is not None:
                return stored
            manifest = VintageManifest(
                **vintage.model_dump(include=set(Vintage.model_fields)),
                files={name: StoredFile.of(content) for name, content in files.items()},
                created=_now(),
            )
            for name, content in files.items():
                self._desk.write_file(f"{vintage.key}/{name}", content)
            self._desk.write_file(f"{vintage.key}/{MANIFEST}", to_json(manifest))
            written = self._desk.flush_folders(vintage.key)
            if folder.exists():
                self._desk.remove(folder)
            self._desk.move(written, folder)
            return manifest

    def publish(
        self, keys: Sequence[str], reason: str, metrics: Mapping[str, Any] | None = None
    ) -> ChainManifest:
        """Make a chain of stored vintages, oldest first, and put it in use.

        Raises
        ------
        DataError
            A vintage is missing or damaged, or they cannot follow each other: not ordered, of
            different features, timeframe or labels, or one sees the future.
        StoreError
            It could not be written; the chain in use stays.
        """
        with self._step():
            vintages = [self.verify(key) for key in keys]
            require_chain(vintages)
            created = max([_now(), *(chain.created + 1 for chain in self.chains())])
            chain = ChainManifest(
                id=dated_name(created, *keys, reason),
                created=created,
                timeframe=vintages[0].timeframe,
                features_hash=vintages[0].features_hash,
                vintages=tuple(keys),
                metrics=dict(metrics or {}),
                reason=reason,
            )
            path = self._chain(chain.id)
            self._desk.move(self._desk.write_file(path.name, to_json(chain)), path)
            try:
                self._use(chain.id, "publish", reason)
            except OSError:
                if self._readable_id() != chain.id:
                    path.unlink()
                raise
            return chain

    def promote(self, name: str, reason: str = "") -> ChainManifest:
        """Put a stored chain in use, after every file of it was read; see ``publish``."""
        with self._step():
            chain = self.chain(name)
            require_chain([self.verify(key) for key in chain.vintages])
            if self._readable_id() != name:
                self._use(name, "promote", reason)
            return chain

    def rollback(self, reason: str = "") -> ChainManifest:
        """Put the chain in use that was so before the present one; again goes further back.

        Raises
        ------
        DataError
            No earlier chain is left, or it is damaged.
        """
        with self._step():
            earlier = self._earlier()
            if earlier is None:
                raise DataError(f"{self.root}: there is no earlier chain to roll back to")
            chain = self.chain(earlier)
            require_chain([self.verify(key) for key in chain.vintages])
            self._use(earlier, "rollback", reason)
            return chain

    def prune(self, keep: int = 5) -> Pruned:
        """Remove all but the newest ``keep`` chains and the one in use, and vintages of no chain.

        Vintages written since the newest chain was published stay: a training may be under way.
        Keep at least two where a bot reads: it may still be reading the chain before.
        """
        if keep < 1:
            raise DataError(f"prune: keep {keep}, must be at least 1")
        with self._step():
            chains, current = self.chains(), self.current()
            gone = [chain for chain in chains[:-keep] if chain != current]
            used = {key for chain in chains if chain not in gone for key in chain.vintages}
            newest = chains[-1].created if chains else 0
            unused = [
                vintage.key
                for vintage in self.vintages()
                if vintage.key not in used and vintage.created <= newest
            ]
            for chain in gone:
                self._desk.remove(self._chain(chain.id))
            for key in unused:
                self._desk.remove(self._vintage(key))
            return Pruned(tuple(chain.id for chain in gone), tuple(unused))

    def _whole(self, vintage: Vintage) -> VintageManifest | None:
        """Return the stored vintage of the same key if it is whole; it must be the same one."""
        try:
            stored = self.verify(vintage.key)
        except DataError as error:
            if self._vintage(vintage.key).exists():
                logger.warning("vintage is written anew: %s", error)
            return None
        said, says = (
            v.model_dump(mode="json", include=set(Vintage.model_fields) - _MEASURED)
            for v in (stored, vintage)
        )
        if said != says:
            raise DataError(
                f"{self._vintage(vintage.key)}: another vintage has this key: "
                + "; ".join(compare_trees("vintage", said, says))
            )
        return stored

    def _readable_id(self) -> str | None:
        """Return the id in ``CURRENT``; None also where it is damaged: promoting heals that."""
        try:
            return self.current_id()
        except DataError as error:
            logger.warning("%s", error)
            return None

    def _use(self, name: str, action: Action, reason: str) -> None:
        """Swap ``CURRENT`` and append to the history; both are on the disk before the swap."""
        turn = Turn(time=_now(), id=name, action=action, reason=reason)
        before = self._history_text()
        if before and not before.endswith("\n"):
            before += "\n"
        text = f"{before}{turn.model_dump_json()}\n"
        current = self._desk.write_file("CURRENT", f"{name}\n".encode())
        history = self._desk.write_file("history.jsonl", text.encode())
        self._desk.move(current, self.root / "CURRENT")
        self._desk.move(history, self._history)

    def _recover(self) -> None:
        """Note in the history a swap whose writer was killed before it could."""
        current = self._readable_id()
        turns = self.history()
        if current is not None and (not turns or turns[-1].id != current):
            self._use(current, "recovered", "the writer was killed while putting it in use")

    def _earlier(self) -> str | None:
        """Return the chain that was in use before the present one and is still there."""
        stack: list[str] = []
        for turn in self.history():
            # Cut short, going back to the chain before looks like this.
            back = turn.action == "recovered" and stack[-2:-1] == [turn.id]
            if back or (turn.action == "rollback" and turn.id in stack):
                while stack[-1] != turn.id:
                    stack.pop()
            else:
                stack.append(turn.id)
        current = self._readable_id()
        there = [name for name in stack if name != current and self._chain(name).is_file()]
        return there[-1] if there else None


def _require_names(files: Mapping[str, bytes]) -> None:
    for name in files:
        if name == MANIFEST or not all(NAME.fullmatch(part) for part in name.split("/")):
            raise DataError(f"{name!r} cannot be the name of a file of a vintage")


def _now() -> int:
    return time.time_ns() // 1_000_000

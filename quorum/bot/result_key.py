"""What decides a backtest beside its configuration, as a key by which the host keeps results.

The host shows an earlier result again where configuration, parameter file and strategy file are
the same. Trained models, records files and the code of this package decide as much.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from freqtrade.enums import RunMode

import quorum
from quorum.bot.advice import ledger_of
from quorum.bot.state_store import records_store
from quorum.records import STATE
from quorum.records.loading import stored_versions
from quorum.settings import Settings

#: Under this name the host finds the key in its configuration.
KEY = "quorum_decided_by"


def mark_decisions(config: dict[str, Any], settings: Settings) -> None:
    """Put into a backtest's configuration what else its trades follow from."""
    if config.get("runmode") != RunMode.BACKTEST:
        return
    user_data = Path(config.get("user_data_dir") or "user_data")
    config[KEY] = {
        "code": _code(),
        "models": _models(settings.learning.store(user_data)) if settings.learning.enabled else "",
        "records": _records(config, settings, user_data),
        "advice": _advice(config, settings),
    }


def _records(config: dict[str, Any], settings: Settings, user_data: Path) -> str:
    """Return what changes with the records that are read, from files or from the state."""
    sources = settings.market.records
    files = _digest(user_data / name for name in sources.values() if name != STATE)
    stored = stored_versions(sources, records_store(config, settings))
    return f"{files} {stored}" if stored else files


def _advice(config: dict[str, Any], settings: Settings) -> str:
    """Return what changes with the advisors' ledger, where it is read."""
    if not settings.advisors.enabled:
        return ""
    return ledger_of(config, settings, readonly=True).head()


@cache
def _code() -> str:
    package = Path(quorum.__file__).parent
    return _digest(package.rglob("*.py"), package)


def _models(folder: Path) -> str:
    """Return the digest of the chain in use and of all manifests; they hold every checksum."""
    return _digest([folder / "CURRENT", *folder.rglob("*.json")], folder)


def _digest(files: Iterable[Path], root: Path | None = None) -> str:
    """Return one digest of names and contents; a file that is not there has none."""
    digest = hashlib.sha256()
    for path in sorted(set(files)):
        if path.is_file():
            name = path.name if root is None else path.relative_to(root).as_posix()
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{name} {content}\n".encode())
    return digest.hexdigest()

"""Keys: from the environment, a secret file or the host's secret configuration; never kept."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quorum.advisors.client import Client
from quorum.advisors.providers import PROVIDERS
from quorum.advisors.settings import AdvisorSettings
from quorum.errors import DataError, SettingsError

#: Section of a (secret) configuration file that holds keys by variable or provider.
SECTION = "quorum_keys"


def key_of(variable: str, provider: str, config: Mapping[str, Any]) -> str:
    """Return a key, empty where there is none.

    Looked for in the environment, in the file that ``<variable>_FILE`` names, and in the section
    ``quorum_keys`` of the configuration.

    Raises
    ------
    DataError
        If the file that is named cannot be read.
    """
    key = os.environ.get(variable, "")
    file = os.environ.get(f"{variable}_FILE")
    if not key and file:
        try:
            key = Path(file).read_text(encoding="utf-8")
        except OSError as error:
            raise DataError(f"{variable}_FILE = {file}: {error.strerror}") from error
    section = config.get(SECTION) or {}
    if not isinstance(section, Mapping):
        raise SettingsError(f"{SECTION}: must be a group of keys")
    return (key or str(section.get(variable) or section.get(provider) or "")).strip()


def make_clients(
    settings: AdvisorSettings, config: Mapping[str, Any], address: str | None = None
) -> dict[str, Client]:
    """Return a client for each advisor, by its name.

    Parameters
    ----------
    settings : AdvisorSettings
    config : mapping
        Where keys may stand.
    address : str, optional
        Of one server for all of them; it is sent no key.
    """
    clients = {}
    for member in settings.members:
        provider = PROVIDERS[member.provider]()
        variable = member.key_variable or provider.key_variable
        key = "simulated" if address else key_of(variable, member.provider, config)
        base_url = address or member.base_url or provider.base_url
        clients[member.name] = Client(provider, key, base_url)
    return clients

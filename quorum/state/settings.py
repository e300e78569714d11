"""Settings of the state store."""

from __future__ import annotations

from pydantic import Field

from quorum.section import Section


class StateSettings(Section):
    """Where decisions, guards and everything else that must outlive a restart is kept."""

    url: str | None = Field(
        None,
        description="database address, sqlite:///... or postgresql://..., null: beside the trades "
        "database; QUORUM_STATE_URL in the environment goes before it; bots that share one need "
        "different bot_name",
    )

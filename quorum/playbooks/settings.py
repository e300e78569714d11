"""Settings of the playbooks: which are on, and how much each may use."""

from __future__ import annotations

from typing import Any, cast

from pydantic import Field, create_model

from quorum.errors import SettingsError
from quorum.playbooks import PLAYBOOKS
from quorum.playbooks.allocation import AllocationSettings
from quorum.section import Section


class ConsensusSwitch(Section):
    """Entries by the quorum of the heads, where no other playbook enters."""

    enabled: bool = Field(True, description="whether it trades")


_Sections: type[Section] = create_model(
    "_Sections",
    __base__=Section,
    **cast(
        "dict[str, Any]",
        {
            playbook.name: (
                playbook.Settings,
                Field(playbook.Settings(), description=f"playbook {playbook.name}"),
            )
            for playbook in PLAYBOOKS
        },
    ),
)


class PlaybookSettings(_Sections):
    """Which playbooks are on, and how much each may use."""

    consensus: ConsensusSwitch = Field(ConsensusSwitch(), description="playbook consensus")
    allocation: AllocationSettings = Field(
        AllocationSettings(), description="how much of its size each playbook may use"
    )

    def refuse(self, timeframe: str) -> None:
        """Refuse base candles that a playbook that is on cannot work with.

        Raises
        ------
        SettingsError
        """
        for playbook in PLAYBOOKS:
            wrong = playbook.unfit(timeframe)
            if wrong and getattr(self, playbook.name).enabled:
                raise SettingsError(
                    f"quorum.playbooks.{playbook.name}.enabled = True: {wrong}, "
                    f"timeframe = {timeframe!r}"
                )

"""Settings of the recorder: options of its command, for it is no part of the bot."""

from __future__ import annotations

from pydantic import Field

from quorum.section import Section

#: In the user directory.
FOLDER = "quorum_flow"


class RecorderSettings(Section):
    """``quorum record``: order books, trades and liquidations around the clock."""

    folder: str | None = Field(
        FOLDER,
        description="folder of the files, relative to the user directory, null: no files",
    )
    database: str | None = Field(
        None, description="PostgreSQL to write to as well, postgresql://..., null: none"
    )
    book_seconds: float = Field(
        5.0, ge=0.1, le=3600, description="time between two order books of a pair [s]"
    )
    poll_seconds: float = Field(
        60.0, ge=1, le=86400, description="time between two looks at open interest and ratios [s]"
    )
    keep_days: int = Field(30, ge=1, le=3650, description="age of the oldest raw rows kept [d]")

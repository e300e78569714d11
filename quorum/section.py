"""The base of every settings section: frozen, strict about names, documented by field.

Each step of the flow declares its own section next to the code that reads it;
:mod:`quorum.settings` assembles them into the one tree of the ``quorum`` section.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen group of settings; unknown names are refused.

    Give every field a ``Field(default, description="... [unit]", ge=..., le=...)``:
    ``docs/settings.md`` is generated from them.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )

"""The base of every settings section: frozen, strict about names, documented by field.

Each step of the flow declares its own section next to the code that reads it;
:mod:`quorum.settings` assembles them into the one tree of the ``quorum`` section.
"""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from quorum.errors import DataError


class Section(BaseModel):
    """A frozen group of settings; unknown names are refused.

    Give every field a ``Field(default, description="... [unit]", ge=..., le=...)``:
    ``docs/settings.md`` is generated from them.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )

    @classmethod
    def given(cls, what: str, **values: Any) -> Self:
        """Read a section that comes from a command or a request, not from the configuration.

        Parameters
        ----------
        what : str
            What the values describe; begins the message.

        Raises
        ------
        DataError
            Naming for every bad value its name, the value, and what is allowed.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            problems = []
            for problem in error.errors(include_url=False):
                path = ".".join(map(str, problem["loc"]))
                value = f"{path} = {problem['input']!r}: " if path else ""
                problems.append(value + problem["msg"].removeprefix("Value error, "))
            raise DataError(f"{what}: {'; '.join(problems)}") from error

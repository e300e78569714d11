"""Any server that speaks OpenAI's chat format: local models, routers, other vendors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from quorum.advisors.providers.openai import OpenAI


class Compatible(OpenAI):
    """As :class:`OpenAI`, at an address of one's own; a key only where the server wants one."""

    name: ClassVar[str] = "compatible"
    base_url: ClassVar[str] = ""
    key_variable: ClassVar[str] = "QUORUM_COMPATIBLE_API_KEY"
    needs_key: ClassVar[bool] = False
    bound: ClassVar[str] = "max_tokens"
    sampling: ClassVar[Mapping[str, float]] = {"temperature": 0.0}

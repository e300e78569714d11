"""Anthropic: messages with a JSON output format."""

from __future__ import annotations

from typing import ClassVar

from quorum.advisors.providers.base import Exchange, Failure, Prompt, Provider, Reply, Usage, Wire

VERSION = "2023-06-01"


class _Block(Wire):
    type: str
    text: str = ""


class _Usage(Wire):
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class _Body(Wire):
    model: str
    content: tuple[_Block, ...]
    stop_reason: str | None = None
    usage: _Usage = _Usage()


class Anthropic(Provider):
    """``POST /v1/messages``.

    The schema is an output format: newer models refuse a forced tool, and sampling parameters.
    """

    name: ClassVar[str] = "anthropic"
    base_url: ClassVar[str] = "https://api.anthropic.com"
    key_variable: ClassVar[str] = "ANTHROPIC_API_KEY"

    def request(self, prompt: Prompt, model: str, key: str) -> Exchange:
        """Return a message that must follow the schema."""
        body = {
            "model": model,
            "max_tokens": prompt.max_output,
            "system": prompt.system,
            "messages": [{"role": "user", "content": prompt.user}],
            "output_config": {"format": {"type": "json_schema", "schema": dict(prompt.schema)}},
        }
        return Exchange("/v1/messages", {"x-api-key": key, "anthropic-version": VERSION}, body)

    def read(self, body: bytes) -> Reply:
        """Read a message; tokens read from or written to the cache are input too."""
        read = _Body.model_validate_json(body)
        finish = read.stop_reason or ""
        failures = {"refusal": Failure.REFUSED, "max_tokens": Failure.TRUNCATED}
        text = "".join(block.text for block in read.content if block.type == "text")
        u = read.usage
        cached = u.cache_read_input_tokens or 0
        tokens = u.input_tokens + cached + (u.cache_creation_input_tokens or 0)
        usage = Usage(tokens, u.output_tokens, cached)
        return Reply(text, read.model, finish, usage, failures.get(finish))

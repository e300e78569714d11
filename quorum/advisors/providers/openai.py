"""OpenAI: chat completions with a strict JSON schema."""

from __future__ import annotations

from typing import Any, ClassVar

from quorum.advisors.providers.base import Exchange, Failure, Prompt, Provider, Reply, Usage, Wire


class _Message(Wire):
    content: str | None = None
    refusal: str | None = None


class _Choice(Wire):
    message: _Message
    finish_reason: str | None = None


class _Details(Wire):
    cached_tokens: int | None = None


class _Usage(Wire):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _Details | None = None


class _Body(Wire):
    model: str
    choices: tuple[_Choice, ...]
    usage: _Usage | None = None


class OpenAI(Provider):
    """``POST /v1/chat/completions``; no sampling parameters, which reasoning models refuse."""

    name: ClassVar[str] = "openai"
    base_url: ClassVar[str] = "https://api.openai.com"
    key_variable: ClassVar[str] = "OPENAI_API_KEY"
    #: The parameter that bounds an answer.
    bound: ClassVar[str] = "max_completion_tokens"

    def request(self, prompt: Prompt, model: str, key: str) -> Exchange:
        """Return a chat completion that must follow the schema."""
        schema = {"name": prompt.name, "strict": True, "schema": dict(prompt.schema)}
        body: dict[str, Any] = {
            "model": model,
            "messages": [
                {"role": "system", "content": prompt.system},
                {"role": "user", "content": prompt.user},
            ],
            "response_format": {"type": "json_schema", "json_schema": schema},
            self.bound: prompt.max_output,
            **self.sampling,
        }
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return Exchange("/v1/chat/completions", headers, body)

    def read(self, body: bytes) -> Reply:
        """Read a chat completion."""
        read = _Body.model_validate_json(body)
        if not read.choices:
            return Reply("", read.model, "no choice", _usage(read.usage), Failure.REFUSED)
        choice = read.choices[0]
        finish = choice.finish_reason or ""
        failure = None
        if choice.message.refusal or finish == "content_filter":
            failure = Failure.REFUSED
        elif finish == "length":
            failure = Failure.TRUNCATED
        text = choice.message.content or choice.message.refusal or ""
        return Reply(text, read.model, finish, _usage(read.usage), failure)


def _usage(usage: _Usage | None) -> Usage:
    if usage is None:
        return Usage()
    cached = usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else 0
    return Usage(usage.prompt_tokens, usage.completion_tokens, cached or 0)

"""Google Gemini: generated content of type JSON with a response schema."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import quote

from pydantic import Field

from quorum.advisors.providers.base import Exchange, Failure, Prompt, Provider, Reply, Usage, Wire


class _Part(Wire):
    text: str = ""
    thought: bool = False


class _Content(Wire):
    parts: tuple[_Part, ...] = ()


class _Candidate(Wire):
    content: _Content = _Content()
    finish: str = Field("", alias="finishReason")


class _Feedback(Wire):
    block: str | None = Field(None, alias="blockReason")


class _Usage(Wire):
    prompt: int = Field(0, alias="promptTokenCount")
    candidates: int = Field(0, alias="candidatesTokenCount")
    thoughts: int = Field(0, alias="thoughtsTokenCount")
    cached: int = Field(0, alias="cachedContentTokenCount")


class _Body(Wire):
    candidates: tuple[_Candidate, ...] = ()
    feedback: _Feedback = Field(_Feedback(), alias="promptFeedback")
    usage: _Usage = Field(_Usage(), alias="usageMetadata")
    model: str = Field(alias="modelVersion")


class Gemini(Provider):
    """``POST /v1beta/models/{model}:generateContent``; the key in a header, never in the path."""

    name: ClassVar[str] = "gemini"
    base_url: ClassVar[str] = "https://generativelanguage.googleapis.com"
    key_variable: ClassVar[str] = "GEMINI_API_KEY"

    def request(self, prompt: Prompt, model: str, key: str) -> Exchange:
        """Return a request whose candidate must follow the schema."""
        body = {
            "systemInstruction": {"parts": [{"text": prompt.system}]},
            "contents": [{"role": "user", "parts": [{"text": prompt.user}]}],
            "generationConfig": {
                "responseMimeType": "application/json",
                "responseJsonSchema": dict(prompt.schema),
                "maxOutputTokens": prompt.max_output,
            },
        }
        path = f"/v1beta/models/{quote(model, safe='')}:generateContent"
        return Exchange(path, {"x-goog-api-key": key}, body)

    def read(self, body: bytes) -> Reply:
        """Read the first candidate; its thoughts are output that is paid for, no answer."""
        read = _Body.model_validate_json(body)
        u = read.usage
        usage = Usage(u.prompt, u.candidates + u.thoughts, u.cached)
        if not read.candidates:
            finish = read.feedback.block or "no candidate"
            return Reply("", read.model, finish, usage, Failure.REFUSED)
        candidate = read.candidates[0]
        text = "".join(part.text for part in candidate.content.parts if not part.thought)
        failure = None if candidate.finish == "STOP" else Failure.REFUSED
        if candidate.finish == "MAX_TOKENS":
            failure = Failure.TRUNCATED
        return Reply(text, read.model, candidate.finish, usage, failure)

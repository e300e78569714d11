"""The wire formats of the providers, from the side of the server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from quorum.replay.server import HTTPError, Request


class Asked(NamedTuple):
    """A question as it arrived."""

    model: str
    system: str
    user: str
    schema: Mapping[str, Any]


class Said(NamedTuple):
    """An answer as it is to be sent; ``end`` is ``stop``, ``length`` or ``refusal``."""

    text: str
    model: str
    end: str
    tokens_in: int
    tokens_out: int


@dataclass(frozen=True)
class Format:
    """One wire format.

    Attributes
    ----------
    path : str
        Regular expression of the whole path.
    key : str
        Header that carries the key.
    read : callable
        Returns the question of a request, raising what the provider answers a bad one with.
    write : callable
        Returns the body of an answer.
    error : callable
        Returns the body of an error with a status and a message.
    """

    path: str
    key: str
    read: Callable[[Request], Asked]
    write: Callable[[Said], dict[str, Any]]
    error: Callable[[int, str], dict[str, Any]]


def _body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(request.body)
    except ValueError:
        raise HTTPError(400, {"error": {"message": "the body is not JSON"}}) from None
    return body if isinstance(body, dict) else {}


def _need(body: Mapping[str, Any], *path: str | int) -> Any:
    """Return a value inside a request, refusing a request without it."""
    value: Any = body
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            where = ".".join(map(str, path))
            raise HTTPError(400, {"error": {"message": f"{where}: required"}}) from None
    return value


def _closed(schema: Any) -> Mapping[str, Any]:
    """Refuse a schema that strict providers refuse."""
    if isinstance(schema, dict) and schema.get("type") == "object":
        complete = sorted(schema.get("required", ())) == sorted(schema.get("properties", {}))
        if not complete or schema.get("additionalProperties") is not False:
            raise HTTPError(400, {"error": {"message": "schema: objects must be closed"}})
        for inner in schema["properties"].values():
            _closed(inner)
    elif isinstance(schema, dict) and schema.get("type") == "array":
        _closed(schema.get("items"))
    return schema if isinstance(schema, dict) else {}


def _read_openai(request: Request) -> Asked:
    body = _body(request)
    if not ("max_completion_tokens" in body or "max_tokens" in body):
        raise HTTPError(400, {"error": {"message": "a bound on the answer is required"}})
    messages = {m["role"]: m["content"] for m in _need(body, "messages")}
    schema = _closed(_need(body, "response_format", "json_schema", "schema"))
    return Asked(_need(body, "model"), messages.get("system", ""), messages.get("user", ""), schema)


def _write_openai(said: Said) -> dict[str, Any]:
    refused = said.end == "refusal"
    message = {
        "role": "assistant",
        "content": None if refused else said.text,
        "refusal": said.text if refused else None,
    }
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": said.model,
        "choices": [
            {
                "index": 0,
                "message": message,
                "finish_reason": "length" if said.end == "length" else "stop",
            }
        ],
        "usage": {
            "prompt_tokens": said.tokens_in,
            "completion_tokens": said.tokens_out,
            "total_tokens": said.tokens_in + said.tokens_out,
            "prompt_tokens_details": {"cached_tokens": 0},
        },
    }


def _read_anthropic(request: Request) -> Asked:
    body = _body(request)
    if "anthropic-version" not in request.headers:
        raise HTTPError(400, _error_anthropic(400, "anthropic-version: header is required"))
    _need(body, "max_tokens")
    for refused in ("temperature", "top_p", "top_k", "tool_choice"):
        if refused in body:
            raise HTTPError(400, _error_anthropic(400, f"{refused}: not supported by this model"))
    schema = _closed(_need(body, "output_config", "format", "schema"))
    user = _need(body, "messages", 0, "content")
    return Asked(_need(body, "model"), str(body.get("system", "")), user, schema)


def _write_anthropic(said: Said) -> dict[str, Any]:
    ends = {"stop": "end_turn", "length": "max_tokens", "refusal": "refusal"}
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": said.model,
        "content": [
            {"type": "thinking", "thinking": "", "signature": "x"},
            {"type": "text", "text": said.text},
        ],
        "stop_reason": ends[said.end],
        "usage": {
            "input_tokens": said.tokens_in,
            "output_tokens": said.tokens_out,
            "cache_read_input_tokens": 0,
            "cache_creation_input_tokens": 0,
        },
    }


def _read_gemini(request: Request) -> Asked:
    body = _body(request)
    model = re.findall(r"/models/([^/:]+):", request.path)[0]
    if "key" in request.parameters:
        raise HTTPError(400, _error_gemini(400, "the key belongs into a header"))
    schema = _closed(_need(body, "generationConfig", "responseJsonSchema"))
    _need(body, "generationConfig", "maxOutputTokens")
    system = body.get("systemInstruction", {}).get("parts", [{}])[0].get("text", "")
    return Asked(model, system, _need(body, "contents", 0, "parts", 0, "text"), schema)


def _write_gemini(said: Said) -> dict[str, Any]:
    usage = {
        "promptTokenCount": said.tokens_in,
        "candidatesTokenCount": said.tokens_out,
        "thoughtsTokenCount": 0,
        "totalTokenCount": said.tokens_in + said.tokens_out,
    }
    head = {"modelVersion": said.model, "usageMetadata": usage, "responseId": "r1"}
    if said.end == "refusal":
        return {**head, "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
    candidate = {
        "content": {"role": "model", "parts": [{"text": said.text}]},
        "finishReason": "MAX_TOKENS" if said.end == "length" else "STOP",
        "index": 0,
    }
    return {**head, "candidates": [candidate]}


def _error_openai(status: int, message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "error", "param": None, "code": str(status)}}


def _error_anthropic(status: int, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": "api_error", "message": message}}


def _error_gemini(status: int, message: str) -> dict[str, Any]:
    return {"error": {"code": status, "message": message, "status": "INVALID"}}


FORMATS: dict[str, Format] = {
    "openai": Format(
        r"/v1/chat/completions", "authorization", _read_openai, _write_openai, _error_openai
    ),
    "anthropic": Format(
        r"/v1/messages", "x-api-key", _read_anthropic, _write_anthropic, _error_anthropic
    ),
    "gemini": Format(
        r"/v1beta/models/[^/]+:generateContent", "x-goog-api-key", _read_gemini, _write_gemini,
        _error_gemini,
    ),
}  # fmt: skip

"""The providers of language models. Adding one is a new file and one line here."""

from __future__ import annotations

from quorum.advisors.providers.anthropic import Anthropic
from quorum.advisors.providers.base import Exchange, Failure, Prompt, Provider, Reply, Usage
from quorum.advisors.providers.compatible import Compatible
from quorum.advisors.providers.gemini import Gemini
from quorum.advisors.providers.openai import OpenAI

__all__ = ["PROVIDERS", "Exchange", "Failure", "Prompt", "Provider", "Reply", "Usage"]

PROVIDERS: dict[str, type[Provider]] = {
    provider.name: provider for provider in (OpenAI, Anthropic, Gemini, Compatible)
}

"""Settings of the advisors: who is asked, what it may cost, which answers count."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from quorum.advisors.models import month_end
from quorum.section import Section

Role = Literal["technician", "risk_officer", "strategist"]


class Member(Section):
    """One advisor: a provider, a model and a role."""

    provider: Literal["openai", "anthropic", "gemini", "compatible"]
    model: str = Field(min_length=1, max_length=128)
    role: Role
    base_url: str | None = None
    key_variable: str | None = Field(None, pattern=r"^[A-Z][A-Z0-9_]*$")

    @model_validator(mode="after")
    def _has_an_address(self) -> Member:
        if self.provider == "compatible" and not self.base_url:
            raise ValueError("base_url: a compatible server has no address of its own")
        return self

    @property
    def name(self) -> str:
        """What the advisor is called, for example ``"openai gpt-5 technician"``."""
        return f"{self.provider} {self.model} {self.role}"


class AdvisorSettings(Section):
    """Who is asked, what it may cost, and which answers count (spec A)."""

    enabled: bool = Field(False, description="whether the ledger of the advisors is read")
    writer: bool = Field(
        False, description="whether a running bot starts `quorum advise` beside itself"
    )
    members: tuple[Member, ...] = Field(
        (
            Member(provider="openai", model="gpt-5.6-terra", role="technician"),
            Member(provider="anthropic", model="claude-sonnet-5", role="risk_officer"),
            Member(provider="gemini", model="gemini-3.8-flash", role="strategist"),
        ),
        max_length=12,
        description="the advisors: provider (openai, anthropic, gemini, compatible), model, role "
        "(technician, risk_officer, strategist), base_url and key_variable where they differ (A1)",
    )
    questions: tuple[Literal["timeframes", "regime", "levels", "market"], ...] = Field(
        ("timeframes", "regime", "levels", "market"), description="what they are asked (A2)"
    )
    tokens_per_day: int = Field(
        1_000_000, ge=0, le=1_000_000_000, description="budget of a UTC day (A4) [tokens]"
    )
    money_per_day: float = Field(
        5.0, ge=0, le=10_000, description="budget of a UTC day (A4) [US dollars]"
    )
    anonymous: Literal["retrospective", "always", "never"] = Field(
        "retrospective",
        description="which questions name neither pair nor date nor price (A3)",
    )
    retrospective: bool = Field(
        False,
        description="whether backtests use answers that were asked afterwards, for candles later "
        "than the model's cut-off + 60 days (A6)",
    )
    trust_uncalibrated: bool = Field(
        False, description="whether advisors count before 200 of their answers are settled (A7)"
    )
    prices: dict[str, tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]]] = Field(
        {}, description="by model: price of input and output [US dollars per million tokens]"
    )
    cut_offs: dict[str, str] = Field(
        {}, description="by model: last month it has read of, like 2026-01"
    )

    @field_validator("cut_offs")
    @classmethod
    def _months(cls, months: dict[str, str]) -> dict[str, str]:
        for month in months.values():
            month_end(month)
        return months

    @model_validator(mode="after")
    def _different(self) -> AdvisorSettings:
        names = [member.name for member in self.members]
        if len(set(names)) < len(names):
            raise ValueError("members: two are the same provider, model and role")
        return self

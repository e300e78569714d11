"""Settings: the one typed tree behind the ``quorum`` section of the configuration.

Every step declares its own section beside its code; this file only assembles them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, cast

from pydantic import Field, ValidationError, create_model
from pydantic.fields import FieldInfo

from quorum.advisors.settings import AdvisorSettings
from quorum.consensus import ConsensusSettings
from quorum.context import ADJUSTERS, Adjuster
from quorum.context.base import AdjusterSettings
from quorum.doctor_settings import DoctorSettings
from quorum.errors import SettingsError
from quorum.exits import ExitSettings
from quorum.features import FAMILIES
from quorum.guards.settings import GuardSettings
from quorum.heads import APART, HEADS
from quorum.heads.base import Head
from quorum.journal.settings import JournalSettings
from quorum.learning.settings import LearningSettings
from quorum.market import MarketSettings
from quorum.playbooks import PLAYBOOKS, Playbook
from quorum.playbooks.settings import PlaybookSettings
from quorum.section import Section
from quorum.sizing import SizingSettings
from quorum.state.settings import StateSettings
from quorum.tuning.loss import LossSettings

A = TypeVar("A", bound=AdjusterSettings)

HeadsSettings: type[Section] = create_model(
    "HeadsSettings",
    __base__=Section,
    __doc__="Parameters of the heads, one group per head.",
    **cast(
        "dict[str, Any]",
        {head.name: (head.Settings, head.Settings()) for head in (*HEADS, *APART)},
    ),
)

ContextSettings: type[Section] = create_model(
    "ContextSettings",
    __base__=Section,
    __doc__="Parameters of the context adjusters, one group per adjuster.",
    **cast(
        "dict[str, Any]",
        {adjuster.name: (adjuster.Settings, adjuster.Settings()) for adjuster in ADJUSTERS},
    ),
)

WeightsSettings: type[Section] = create_model(
    "WeightsSettings",
    __base__=Section,
    __doc__="Weight of each head's vote (spec H0); normalised over the available heads.",
    **cast(
        "dict[str, Any]",
        {
            head.name: (float, Field(head.weight, ge=0, le=1, description=f"{head.name} [share]"))
            for head in HEADS
        },
    ),
)


#: Groups that were settings once and are constants now, beside the code that reads them.
CONSTANTS: dict[str, Any] = {
    "features": {name: family.constants for name, family in FAMILIES.items()},
    "heads": {head.name: head.constants or head.Settings for head in HEADS},
}
#: Settings that have a new path.
MOVED = {
    "market.sentiment_records": "market.records",
    "market.derivatives_records": "market.records",
    "features.derivatives.funding.premium_max_age": "market.premium_max_age",
    "features.derivatives.flow.ratio_max_age": "market.ratio_max_age",
    "features.derivatives.flow.reserves_max_age": "market.reserves_max_age",
    "features.derivatives.cross.alt_season_max_age": "market.alt_season_max_age",
    "features.volume.delta.taker_max_age": "market.taker_max_age",
    "guards.database": "state.url",
}


class Settings(Section):
    """The ``quorum`` section of a freqtrade configuration."""

    market: MarketSettings = Field(MarketSettings(), description="inputs and their age limits")
    heads: HeadsSettings = Field(HeadsSettings(), description="parameters of the heads")
    weights: WeightsSettings = Field(WeightsSettings(), description="weights of the heads' votes")
    consensus: ConsensusSettings = Field(
        ConsensusSettings(), description="when votes make a consensus"
    )
    context: ContextSettings = Field(
        ContextSettings(), description="how the market around a signal changes it"
    )
    sizing: SizingSettings = Field(SizingSettings(), description="how much is staked")
    exits: ExitSettings = Field(ExitSettings(), description="where a trade ends")
    playbooks: PlaybookSettings = Field(
        PlaybookSettings(), description="which playbooks are on, and how much each may use"
    )
    guards: GuardSettings = Field(
        GuardSettings(), description="what stops entries, and what stops everything"
    )
    learning: LearningSettings = Field(
        LearningSettings(), description="walk-forward models, where they have been trained"
    )
    state: StateSettings = Field(StateSettings(), description="where state is kept")
    advisors: AdvisorSettings = Field(
        AdvisorSettings(), description="language models that are asked, and what they may cost"
    )
    journal: JournalSettings = Field(
        JournalSettings(), description="what a running bot writes down of every candle"
    )
    doctor: DoctorSettings = Field(DoctorSettings(), description="limits of quorum doctor")
    tuning: LossSettings = Field(LossSettings(), description="what the loss of hyperopt weighs")
    leverage: float = Field(
        1.0, ge=1, le=125, description="leverage asked for in futures mode, capped by the exchange"
    )
    fast_callbacks: bool = Field(
        False,
        description="spare the host the copy of the trade before each trade callback "
        "(same trades, faster backtests)",
    )

    def enabled_heads(self) -> tuple[Head[Any], ...]:
        """Return one instance of every enabled head, in spec order."""
        sections = ((head, getattr(self.heads, head.name)) for head in HEADS)
        return tuple(head(section) for head, section in sections if section.enabled)

    def heads_apart(self) -> tuple[Head[Any], ...]:
        """Return one instance of every enabled head in a panel of its own."""
        sections = ((head, getattr(self.heads, head.name)) for head in APART)
        return tuple(head(section) for head, section in sections if section.enabled)

    def enabled_adjusters(self) -> tuple[Adjuster[Any], ...]:
        """Return one instance of every enabled context adjuster, in spec order."""
        sections = ((adjuster, getattr(self.context, adjuster.name)) for adjuster in ADJUSTERS)
        return tuple(adjuster(section) for adjuster, section in sections if section.enabled)

    def enabled_playbooks(self) -> tuple[Playbook[Any], ...]:
        """Return one instance of every playbook that is on, in order of their right to a pair."""
        sections = ((playbook, getattr(self.playbooks, playbook.name)) for playbook in PLAYBOOKS)
        return tuple(playbook(section) for playbook, section in sections if section.enabled)

    def context_of(self, adjuster: type[Adjuster[A]]) -> A:
        """Return the settings of one context adjuster."""
        return cast("A", getattr(self.context, adjuster.name))

    def head_weights(self) -> dict[str, float]:
        """Return the weight of each head by name."""
        return {head.name: float(getattr(self.weights, head.name)) for head in HEADS}


def load_settings(section: Mapping[str, Any] | None) -> Settings:
    """Read the ``quorum`` section of a configuration.

    Raises
    ------
    SettingsError
        Naming for every bad value its path, the value, and what is allowed.
    """
    if section is not None and not isinstance(section, Mapping):
        raise SettingsError(f"quorum: must be a group of settings, got {section!r}")
    try:
        return Settings.model_validate(dict(section or {}))
    except ValidationError as error:
        raise SettingsError(_explain(error)) from error


def _explain(error: ValidationError) -> str:
    """Turn a validation error into one line per bad value."""
    lines = ["the quorum section of the configuration has problems:"]
    for problem in error.errors(include_url=False):
        if problem["type"] == "extra_forbidden":
            lines += _refusals(tuple(map(str, problem["loc"])), problem["input"])
            continue
        path = ".".join(["quorum", *map(str, problem["loc"])])
        if isinstance(problem["input"], Mapping):
            # A whole group may hold what is nobody's business, a password of a database.
            lines.append(f"  {path}: {problem['msg']}")
        else:
            lines.append(f"  {path} = {problem['input']!r}: {problem['msg']}")
    return "\n".join(lines)


def _refusals(path: tuple[str, ...], value: Any) -> Iterator[str]:
    """Say of a name the tree does not have, and of every name in it, what it is or was."""
    name = f"  quorum.{'.'.join(path)}"
    moved, constant = MOVED.get(".".join(path)), _constant(path)
    if moved is not None:
        yield f"{name}: is now quorum.{moved}"
    elif constant is None:
        yield f"{name}: unknown setting{_known_names(path)}"
    elif not isinstance(constant, Mapping):
        yield f"{name} = {value!r}: no longer a setting, fixed at {constant!r}"
    elif isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _refusals((*path, str(key)), inner)
    else:
        yield f"{name} = {value!r}: no longer settings, but constants"


def _constant(path: tuple[str, ...]) -> Any:
    """Return the constant that was the setting at ``path``, a group as a mapping, else None."""
    node: Any = {**Settings.model_fields, **CONSTANTS}
    for part in path:
        node = _members(node).get(part)
    return _members(node) or node


def _members(node: Any) -> Mapping[str, Any]:
    """Return what stands under a node of the tree: settings, and what was a setting."""
    if isinstance(node, FieldInfo):
        node = node.annotation
    if isinstance(node, type) and issubclass(node, Section):
        constants = {name: getattr(node, name) for name in node.__class_vars__}
        return {**node.model_fields, **constants}
    if isinstance(node, Mapping):
        return node
    if isinstance(node, Section):
        return node.model_dump() | {name: getattr(node, name) for name in node.__class_vars__}
    return node._asdict() if hasattr(node, "_asdict") else {}


def _known_names(location: tuple[int | str, ...]) -> str:
    """Name the settings that exist where an unknown one was given."""
    section: Any = Settings
    for part in location[:-1]:
        fields = getattr(section, "model_fields", {})
        if part not in fields:
            return ""
        section = fields[part].annotation
    names = getattr(section, "model_fields", {})
    return f" (known: {', '.join(names)})" if names else ""

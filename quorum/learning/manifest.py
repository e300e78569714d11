"""What the model store says of its models: manifests of vintages and of chains.

A *vintage* is one dated set of all models, a *chain* the ordered list of vintages that a backtest
or a bot uses. A manifest carries a checksum of itself and of every file it names; a vintage is
compared with what its user expects and refused by naming what differs (spec M6).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, JsonValue, ValidationError
from pydantic_core import to_jsonable_python

from quorum.errors import DataError
from quorum.section import Section

#: Version of the layout and the manifests; raised when an older Quorum could not read them.
FORMAT_VERSION = 1
#: Libraries whose versions decide what a model's bytes mean.
LIBRARIES = ("freqtrade-quorum", "numpy", "scikit-learn", "lightgbm", "xgboost")
#: How many names of a long list of differences are spelled out.
NAMED = 5

#: Where the settings of a vintage's labels stand in the configuration.
LABELS_FROM = {
    "labels.barriers": "quorum.learning.labels",
    "labels.regimes": "quorum.learning.regimes",
}

AnyManifest = TypeVar("AnyManifest", "VintageManifest", "ChainManifest")


def library_versions() -> dict[str, str]:
    """Return the installed version of every library in ``LIBRARIES`` that is installed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # optional: a vintage need not use every library
            continue
    return found


def features_hash(names: Iterable[str]) -> str:
    """Return the sha256 of feature names in their order."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def dated_name(time: int, *parts: Any) -> str:
    """Return a name for what belongs to ``time`` (ms since epoch) and follows from ``parts``.

    Parameters
    ----------
    time : int
        Begins the name, in UTC; of a vintage its ``valid_from``.
    *parts : Any
        All that decides the content, JSON-like or pydantic: of a vintage its settings, features,
        pairs and a digest of its data. The same parts give the same name, so that a training
        that is started again finds what it has already done.
    """
    digest = hashlib.sha256(_canonical(_storable((time, *parts)))).hexdigest()
    return f"{datetime.fromtimestamp(time / 1000, UTC):%Y%m%dT%H%M%S}-{digest[:16]}"


def _canonical(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def _storable(value: Any) -> Any:
    """Turn ``value`` into JSON: numpy numbers to Python's, tuples to lists, NaN to null."""
    if hasattr(value, "tolist"):  # a numpy number or array
        value = value.tolist()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(name): _storable(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_storable(item) for item in value]
    return to_jsonable_python(value)


JsonTree = Annotated[dict[str, JsonValue], BeforeValidator(_storable)]
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]


class StoredFile(Section):
    """Size and checksum of one file of a vintage."""

    sha256: str = Field(description="checksum of the content [hex]")
    size: int = Field(ge=0, description="length of the content [bytes]")

    @classmethod
    def of(cls, content: bytes) -> StoredFile:
        """Describe ``content``."""
        return cls(sha256=hashlib.sha256(content).hexdigest(), size=len(content))


class Vintage(Section):
    """What the trainer says of one dated set of models; all times in ms since epoch."""

    key: Key = Field(description="name in the store, see dated_name")
    valid_from: int = Field(description="first close time it may predict [ms]")
    cut_off: int = Field(description="close time of the last training row [ms]")
    horizon_ms: int = Field(ge=0, description="how far the labels look ahead [ms]")
    embargo_ms: int = Field(ge=0, description="gap between the last label's end and use [ms]")
    train_start: int = Field(description="close time of the first training row [ms]")
    rows: int = Field(ge=0, description="training rows")
    timeframe: str = Field(description="base timeframe of the rows")
    pairs: tuple[str, ...] = Field(description="pairs of the training rows")
    features: tuple[str, ...] = Field(description="feature names, in the models' column order")
    labels: JsonTree = Field(description="settings of the labels")
    models: JsonTree = Field(description="settings of the models and of their features")
    heads: tuple[str, ...] | None = Field(
        None, description="heads whose votes the consensus models learned from; null: not noted"
    )
    libraries: dict[str, str] = Field(
        default_factory=library_versions, description="versions the models were trained with"
    )
    metrics: JsonTree = Field(default_factory=dict, description="what was measured out of fold")

    @property
    def features_hash(self) -> str:
        """The sha256 of the feature names in their order."""
        return features_hash(self.features)


class VintageManifest(Vintage):
    """A vintage in the store: what the trainer said, and its files."""

    files: dict[str, StoredFile] = Field(description="path below the vintage -> file")
    created: int = Field(description="when it was written [ms]")


class ChainManifest(Section):
    """The ordered vintages that a backtest or a bot uses."""

    id: Key = Field(description="name in the store")
    created: int = Field(description="when it was published [ms]")
    timeframe: str = Field(description="base timeframe of all vintages")
    features_hash: str = Field(description="sha256 of the feature names of all vintages")
    vintages: tuple[Key, ...] = Field(min_length=1, description="keys, oldest first")
    metrics: JsonTree = Field(default_factory=dict, description="what was measured of the whole")
    reason: str = Field(description="why it was published")


@dataclass(frozen=True, slots=True)
class Expected:
    """What the user of a vintage needs it to be.

    Attributes
    ----------
    features : sequence of str or None
        Feature names in column order; None to accept any.
    timeframe : str
        Base timeframe.
    labels, settings : mapping
        Settings of labels and of features; empty to accept any.
    heads : sequence of str or None
        Heads that vote, in order; None to accept any.
    pairs : sequence of str
        Pairs that are traded: each must be among those of the training, which may be more.
    """

    features: Sequence[str] | None
    timeframe: str
    labels: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    heads: Sequence[str] | None = None
    pairs: Sequence[str] = ()


def to_json(manifest: VintageManifest | ChainManifest) -> bytes:
    """Return the text of a manifest with its format version and its own checksum."""
    content = {"format_version": FORMAT_VERSION, **manifest.model_dump(mode="json")}
    if isinstance(manifest, VintageManifest):
        content["features_hash"] = manifest.features_hash
    content["checksum"] = hashlib.sha256(_canonical(content)).hexdigest()
    return json.dumps(content, indent=1).encode() + b"\n"


def from_json(kind: type[AnyManifest], text: bytes, path: object) -> AnyManifest:
    """Read a manifest that ``to_json`` wrote; ``path`` is named in errors.

    Raises
    ------
    DataError
        It is not whole, was changed, or is of another format version.
    """
    try:
        content = json.loads(text)
    except ValueError as error:
        raise DataError(f"{path}: not a whole manifest ({error})") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: not a manifest")
    found = content.pop("format_version", None)
    if found != FORMAT_VERSION:
        raise DataError(
            f"{path}: format version {found}, this Quorum reads {FORMAT_VERSION}; train again, or"
            " use the Quorum that wrote it"
        )
    checksum = content.pop("checksum", None)
    if checksum != hashlib.sha256(_canonical({"format_version": found, **content})).hexdigest():
        raise DataError(f"{path}: its content does not match its checksum, it was changed")
    if kind is VintageManifest:
        content.pop("features_hash", None)  # written for its readers, follows from the names
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise DataError(f"{path}: not a manifest of a {_noun(kind)}: {error}") from error


def _noun(kind: type) -> str:
    return "vintage" if kind is VintageManifest else "chain"


def require_dated(vintage: Vintage) -> None:
    """Raise DataError if a label of ``vintage`` may end after it is first used."""
    if vintage.train_start > vintage.cut_off:
        raise DataError(
            f"vintage {vintage.key}: train_start {vintage.train_start} is after cut_off"
            f" {vintage.cut_off}"
        )
    known = vintage.cut_off + vintage.horizon_ms + vintage.embargo_ms
    if known > vintage.valid_from:
        raise DataError(
            f"vintage {vintage.key}: sees the future, cut_off {vintage.cut_off} + horizon"
            f" {vintage.horizon_ms} + embargo {vintage.embargo_ms} = {known} is after valid_from"
            f" {vintage.valid_from}"
        )


def require_chain(vintages: Sequence[Vintage]) -> None:
    """Raise DataError unless ``vintages`` can follow each other in one chain."""
    if not vintages:
        raise DataError("a chain needs at least one vintage")
    first = vintages[0]
    like_first = Expected(
        first.features,
        first.timeframe,
        first.labels,
        _feature_settings(first) or {},
        first.heads,
        first.pairs,
    )
    for vintage in vintages:
        require_dated(vintage)
        differences = compare(vintage, like_first)
        if differences:
            raise DataError(
                f"vintage {vintage.key} cannot follow {first.key} in one chain:"
                f" {'; '.join(differences)}"
            )
    for before, after in pairwise(vintages):
        if before.valid_from >= after.valid_from:
            raise DataError(
                f"vintages of a chain are ordered by valid_from: {before.key}"
                f" ({before.valid_from}) does not come before {after.key} ({after.valid_from})"
            )


def compare(vintage: Vintage, expected: Expected) -> list[str]:
    """Return what of ``vintage`` is not as ``expected``, one text per difference (spec M13)."""
    differences = []
    if expected.features is not None:
        differences += _compare_names(vintage.features, tuple(expected.features))
    if vintage.timeframe != expected.timeframe:
        differences.append(
            f"timeframe: trained on {vintage.timeframe}, used on {expected.timeframe}"
        )
    if expected.labels:
        differences += _compare_labels(vintage.labels, _storable(expected.labels))
    if expected.settings:
        differences += _compare_settings(_feature_settings(vintage), expected.settings)
    if expected.heads is not None:
        differences += _compare_heads(vintage.heads, tuple(expected.heads))
    return differences + _compare_pairs(vintage.pairs, expected.pairs)


def differences_of(vintages: Sequence[Vintage], expected: Expected) -> list[str]:
    """Return what of any vintage of a chain is not as ``expected``, each difference once."""
    found: dict[str, list[str]] = {}
    for vintage in vintages:
        for difference in compare(vintage, expected):
            found.setdefault(difference, []).append(vintage.key)
    return [
        text if len(keys) == len(vintages) else f"{text} (vintage {_some(keys)})"
        for text, keys in found.items()
    ]


def _feature_settings(vintage: Vintage) -> Mapping[str, Any] | None:
    """Return the feature constants of a training; None where they were not noted."""
    found = vintage.models.get("features")
    return found if isinstance(found, dict) else None


def _compare_labels(trained: Mapping[str, Any], used: Mapping[str, Any]) -> list[str]:
    found = compare_trees("labels", trained, used)
    for short, path in LABELS_FROM.items():
        found = [text.replace(short, path, 1) for text in found]
    return found


def _compare_settings(trained: Mapping[str, Any] | None, used: Mapping[str, Any]) -> list[str]:
    if trained is None:
        return ["quorum.features: their constants were not noted by the version that trained it"]
    known = flatten(_storable(used))
    told = {path: value for path, value in flatten(trained).items() if path in known}
    found = compare_trees("quorum.features", told, known)
    found = [text.replace(", configured ", ", in this version ") for text in found]
    rest = len(found) - NAMED
    return found[:NAMED] + ([f"{rest} more feature constants"] if rest > 0 else [])


def _compare_heads(trained: tuple[str, ...] | None, used: tuple[str, ...]) -> list[str]:
    if trained is None:
        return ["heads: they were not noted by the version that trained it"]
    if trained != used and set(trained) == set(used):
        return [f"heads in another order: trained with {', '.join(trained)}"]
    return [
        f"quorum.heads.{name}.enabled: trained with {name in trained}, configured {name in used}"
        for name in dict.fromkeys([*trained, *used])
        if (name in trained) != (name in used)
    ]


def _compare_pairs(trained: tuple[str, ...], used: Sequence[str]) -> list[str]:
    unknown = [pair for pair in used if pair not in trained]
    if not unknown:
        return []
    return [f"pairs: trained with {_some(list(trained))}; {_some(unknown)} traded, not among them"]


def _compare_names(trained: tuple[str, ...], used: tuple[str, ...]) -> list[str]:
    if trained == used:
        return []
    removed = [name for name in trained if name not in set(used)]
    added = [name for name in used if name not in set(trained)]
    differences = []
    if removed:
        differences.append(f"features the model needs and are not there: {_some(removed)}")
    if added:
        differences.append(f"features the model does not know: {_some(added)}")
    if not differences:
        moved = [f"{b} where {a} was" for a, b in zip(trained, used, strict=False) if a != b]
        repeated = f"{len(trained)} trained, {len(used)} used" if not moved else _some(moved)
        differences.append(f"features in another order: {repeated}")
    return differences


def _some(names: list[str]) -> str:
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested dictionaries by their dotted path."""
    leaves: dict[str, Any] = {}
    for name, value in tree.items():
        path = f"{prefix}.{name}" if prefix else name
        if isinstance(value, Mapping) and value:
            leaves |= flatten(value, path)
        else:
            leaves[path] = value
    return leaves


def compare_trees(name: str, trained: Mapping[str, Any], used: Mapping[str, Any]) -> list[str]:
    """Return the paths at which two trees of settings differ, with both values."""
    before, after = flatten(trained, name), flatten(used, name)
    absent = "(not set)"
    return [
        f"{path}: trained with {before.get(path, absent)}, configured {after.get(path, absent)}"
        for path in dict.fromkeys([*before, *after])
        if before.get(path, absent) != after.get(path, absent)
    ]

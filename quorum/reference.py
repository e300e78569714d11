"""The settings reference: ``docs/settings.md`` is generated from the settings tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic.fields import FieldInfo

from quorum.section import Section
from quorum.settings import Settings

HEADER = """# Settings

Generated from the settings tree by `quorum settings`. Every value below stands in the `"quorum"`
section of a freqtrade configuration; what is left out keeps its default, an unknown name or a
value out of range is refused before anything starts.
"""


def settings_reference() -> str:
    """Return the reference of every setting as Markdown."""
    return "\n".join([HEADER, *_section(Settings, "quorum")]) + "\n"


def _section(section: type[Section], path: str) -> Iterator[str]:
    """Yield the lines of one group, then those of the groups inside it."""
    groups: list[tuple[str, type[Section], FieldInfo]] = []
    rows: list[str] = []
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            groups.append((f"{path}.{name}", kind, field))
        else:
            default = _text(field.default)
            rows.append(f"| `{name}` | `{default}` | {_range(field)} | {field.description or ''} |")
    if rows:
        yield f"## `{path}`\n"
        if section.__doc__:
            yield f"{section.__doc__.strip().splitlines()[0]}\n"
        yield "| setting | default | allowed | meaning |\n|---|---|---|---|"
        yield "\n".join(rows) + "\n"
    for name, kind, _ in groups:
        yield from _section(kind, name)


def _text(value: Any) -> str:
    """Write a default as it stands in a configuration file."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "null"
    if isinstance(value, tuple):
        return "[" + ", ".join(_text(v) for v in value) + "]"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, Section):
        return "{" + ", ".join(f"{k}: {_text(v)}" for k, v in value) + "}"
    return f"{value}"


def _range(field: FieldInfo) -> str:
    """Write what a field allows."""
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    limits = [
        f"{sign} {getattr(limit, name):g}"
        for limit in field.metadata
        for name, sign in signs.items()
        if getattr(limit, name, None) is not None
    ]
    if limits:
        return ", ".join(limits)
    options = getattr(field.annotation, "__args__", ())
    if options and all(isinstance(option, str) for option in options):
        return ", ".join(f'"{option}"' for option in options)
    return ""

"""The rules that code and tests cite stand in docs/rules.md."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
CITATION = re.compile(r"\bspec(?:ification)? ((?:[A-Z]\d*(?:-\d+)?(?:-[A-Z]\d+)?(?:, | and )?)+)")
MARK = re.compile(r"[A-Z](?:-?\d+)?")


def stated_rules() -> set[str]:
    text = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    chapters = set(re.findall(r"^## ([A-Z])\. ", text, re.MULTILINE))
    scenarios = {f"E{n}" for n in re.findall(r"^(\d)\. ", text, re.MULTILINE)}
    return chapters | scenarios | set(re.findall(r"\*\*([A-Z]-?\d+)\b", text))


def cited_rules() -> dict[str, str]:
    cited: dict[str, str] = {}
    for folder in ("quorum", "strategies", "hyperopts", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            for marks in CITATION.findall(path.read_text(encoding="utf-8")):
                for first, last in re.findall(r"([A-Z]\d+)-([A-Z]\d+)", marks):
                    cited |= dict.fromkeys((first, last), str(path.relative_to(ROOT)))
                rest = re.sub(r"[A-Z]\d+-[A-Z]\d+", "", marks)
                cited |= dict.fromkeys(MARK.findall(rest), str(path.relative_to(ROOT)))
    return cited


def test_every_rule_that_is_cited_is_stated() -> None:
    stated, cited = stated_rules(), cited_rules()
    assert len(cited) > 40
    assert {mark: place for mark, place in cited.items() if mark not in stated} == {}

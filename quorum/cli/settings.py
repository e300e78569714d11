"""``quorum settings``: the reference of every setting, and a check of a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quorum.cli.app import command, console
from quorum.errors import DataError
from quorum.reference import settings_reference


@command("settings")
def settings_command(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="file to write")] = None,
    check: Annotated[
        Path | None, typer.Option(help="fail unless this file is the current reference")
    ] = None,
) -> None:
    """Print the reference of every setting, or write it to a file."""
    text = settings_reference()
    if check is not None:
        current = check.read_text(encoding="utf-8") if check.is_file() else None
        if current != text:
            raise DataError(f"{check}: out of date, run `quorum settings --output {check}`")
    elif output is not None:
        output.write_text(text, encoding="utf-8")
        console.print(f"wrote {output}")
    else:
        print(text, end="")  # raw Markdown: no wrapping, no markup

"""Puts the strategy, the loss and the configurations into the wheel.

They live at the top of the repository, where freqtrade looks for them; ``quorum init`` takes them
out of the installed package.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
#: What is shipped, as it lies in the repository; the folders must exist.
SHIPPED = ("config.json", "strategies/*.py", "hyperopts/*.py", "overlays/*.json")


class BuildWithStrategy(build_py):
    """Copies what is shipped into ``quorum/user_files``; an editable install finds it in place."""

    def run(self) -> None:
        """Build the package, then add the files."""
        super().run()
        if self.editable_mode:
            return
        for pattern in SHIPPED:
            found = sorted(ROOT.glob(pattern))
            if not found:
                raise FileNotFoundError(f"{pattern}: nothing to ship")
            for path in found:
                target = Path(self.build_lib, "quorum", "user_files", path.relative_to(ROOT))
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)


setup(cmdclass={"build_py": BuildWithStrategy})

"""`patina` as a user runs it: a process of its own, or in this one where only the output counts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner, Result

from patina_hooks.commands import patina

PROGRESS = re.compile(r"patina: [\w ]+: [\d,]+ of [\d,]+.*")
"""What a command that takes long says every ten seconds where there is no terminal."""
PATINA = (sys.executable, "-c", "from patina_hooks.commands import main; main()")


@dataclass(frozen=True, slots=True)
class Shell:
    """Runs commands in a folder."""

    folder: Path

    def run(
        self, *arguments: str | bytes, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """In a process of its own, to the end."""
        return subprocess.run(
            [*PATINA, *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONIOENCODING": "utf-8", **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=120,
            check=False,
        )

    def out(self, *arguments: str) -> str:
        """Return what a command prints, in this process; fail where it fails or warns."""
        result = self.invoke(*arguments)
        said = [line for line in result.stderr.splitlines() if not PROGRESS.fullmatch(line)]
        assert (result.exit_code, said) == (0, []), result.output
        return result.stdout

    def invoke(self, *arguments: str, catch: bool = False) -> Result:
        """Run a command in this process. catch: leave what it raises in the result."""
        here = Path.cwd()
        os.chdir(self.folder)
        try:
            return CliRunner().invoke(patina, arguments, catch_exceptions=catch)
        finally:
            os.chdir(here)

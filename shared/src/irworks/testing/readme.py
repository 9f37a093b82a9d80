"""Documents in Markdown whose examples are run."""

import contextlib
import io
import re
import shlex
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path

from irworks.testing.commands import run_main

__all__ = ["Readme", "run_python"]


@dataclass(frozen=True)
class Readme:
    """A document in Markdown.

    Attributes:
        path: The file.
    """

    path: Path

    @cached_property
    def text(self) -> str:
        """The whole of it."""
        return self.path.read_text(encoding="utf-8")

    def blocks(self, language: str) -> list[str]:
        """The code blocks that are marked with a language, in their order."""
        return re.findall(rf"^```{language}\n(.*?)^```", self.text, flags=re.DOTALL | re.MULTILINE)

    def section(self, title: str) -> str:
        """The text below a heading of the second level, up to the next of these.

        Raises:
            LookupError: There is no such heading.
        """
        found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", self.text, flags=re.DOTALL | re.MULTILINE)
        if found is None:
            raise LookupError(f"{self.path.name} has no section {title!r}")
        return found[1]

    def run_commands(self, name: str, *, block: int = 0) -> list[str]:
        """Run the commands of one program, one after another, in the current folder.

        Args:
            name: The program, installed with a package; every line of the block has to begin with it, but for comments.
            block: Which of the `bash` blocks whose first command is one of it.

        Returns:
            What each command printed.

        Raises:
            AssertionError: A command failed, or is another program's.
        """
        begin = re.compile(rf"\s*(#.*\n\s*)*{re.escape(name)}\s")
        commands = [text for text in self.blocks("bash") if begin.match(text)][block]
        (program,) = entry_points(group="console_scripts", name=name)
        printed = []
        for command in commands.replace("\\\n", " ").splitlines():
            words = shlex.split(command, comments=True)
            if not words:
                continue
            assert words[0] == name, command
            done = run_main(program.load(), *words)
            assert not done.status, f"{command}: {done.err}"
            printed.append(done.out)
        return printed


def run_python(example: str) -> str:
    """Run an example as a script would be run; what it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(example, "README.md", "exec"), {"__name__": "__main__"})
    return printed.getvalue()

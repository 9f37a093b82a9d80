"""Print, as JSON for a matrix of jobs, the members of the workspace that a change concerns.

Usage: python .ci/changed_members.py [BASE]. A change inside packages/<name>/ concerns that package; any other change
(the core, the lock file, the lint rules) may concern every member. Without BASE, or with one that git does not know,
every member is printed.
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def members() -> list[dict[str, str]]:
    """Name and folder of every member: the core, then the packages."""
    folders = [ROOT / "shared", *(path.parent for path in sorted(ROOT.glob("packages/*/pyproject.toml")))]
    return [
        {"name": tomllib.loads((folder / "pyproject.toml").read_text())["project"]["name"], "path": _relative(folder)}
        for folder in folders
    ]


def _relative(folder: Path) -> str:
    return folder.relative_to(ROOT).as_posix()


def changed_files(base: str) -> list[str] | None:
    """The files that differ from where this branch left `base`, None if git cannot tell."""
    done = subprocess.run(
        ["git", "diff", "--name-only", "--no-renames", f"{base}...HEAD"], cwd=ROOT, capture_output=True, text=True
    )
    return done.stdout.splitlines() if done.returncode == 0 else None


def concerned(files: list[str] | None) -> list[dict[str, str]]:
    """The members that a change of `files` concerns."""
    everyone = members()
    if files is None or any(not file.startswith("packages/") for file in files):
        return everyone
    return [member for member in everyone if any(file.startswith(f"{member['path']}/") for file in files)]


if __name__ == "__main__":
    base = sys.argv[1] if len(sys.argv) > 1 else ""
    sys.stdout.write(json.dumps(concerned(changed_files(base) if base else None)) + "\n")

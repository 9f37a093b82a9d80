"""Questions on paragraphs."""

from pathlib import Path

from irworks.data import Collection
from irworks.data.text_files import read_squad
from irworks.errors import DataError

__all__ = ["amqa"]

# How the files are called here, and in the repository.
_FILES = {
    "train": ("train.json", "train_data.json"),
    "validation": ("dev.json", "dev_data.json"),
    "test": ("test.json", "test_data.json"),
}


def amqa(path: str | Path) -> Collection:
    """AmQA (Abedissa et al. 2023): 2,622 questions, each of which asks for its paragraph of the Amharic Wikipedia.

    The parts as published share paragraphs: divide with `split`, which keeps the questions on one paragraph together.

    Args:
        path: The folder of train.json, dev.json and test.json, or a copy of the repository; or one file of that form.

    Raises:
        DataError: A file is missing or malformed.
    """
    root = Path(path)
    if root.is_file():
        return read_squad(root, name="AmQA")
    files = []
    for names in _FILES.values():
        there = [root / name for name in names if (root / name).is_file()]
        if not there:
            raise DataError("no such file", source=root / names[0], expected=f"one of: {', '.join(names)}")
        files.append(there[0])
    return read_squad(*files, name="AmQA")

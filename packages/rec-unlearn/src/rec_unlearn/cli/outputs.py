"""Where results go: never in the place of what is read, nor of what somebody else wrote."""

from pathlib import Path

from irworks.errors import DataError


def require_model_or_new(out: Path) -> None:
    """Check that a file is new, or an earlier model.

    Raises:
        DataError: Something else stands there.
    """
    if out.exists():
        from rec_unlearn.models.store import load

        load(out)


def require_new_folder(folder: Path) -> None:
    """Check that a folder is absent or empty.

    Raises:
        DataError: It holds something, or is a file.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError("something is there already", source=folder, expected="a new or empty folder")


def require_no_service(folder: Path) -> None:
    """Check that a folder is absent or empty, or holds what a service left that was not set up to the end.

    Raises:
        DataError: It holds a service, or something else.
    """
    begun = {"lock", "queue", "service.json", "checkpoints"}
    if folder.is_dir() and {path.name for path in folder.iterdir()} <= begun:
        checkpoints = folder / "checkpoints"
        if checkpoints.is_dir() and any(path.name.isdigit() for path in checkpoints.iterdir()):
            raise DataError("a service is here already", source=folder, expected="a new folder")
        return
    require_new_folder(folder)

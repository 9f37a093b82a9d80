import json
import warnings

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from irworks.errors import ArgumentError, DataError
from irworks.runtime.terminal import run_command_line, strict_json, version_callback, warnings_as_lines


@pytest.mark.parametrize("error", [ArgumentError("k is 0; expected more"), FileNotFoundError("no such file: a.csv")])
def test_an_error_of_ours_is_a_sentence_and_status_two(error, capsys, monkeypatch):
    app = typer.Typer()

    @app.command()
    def verb():
        raise error

    monkeypatch.setattr("sys.argv", ["verb"])
    with pytest.raises(SystemExit) as ended:
        run_command_line(app)
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"error: {error}\n"


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (ArgumentError("k is 0; expected more"), 2, "k is 0; expected more"),
        (DataError("the log is empty"), 1, "the log is empty"),
        (PermissionError(13, "Permission denied", "out/a.csv"), 1, "out/a.csv: permission denied"),
    ],
)
def test_a_program_may_say_its_name_and_which_errors_are_mistakes(error, status, sentence, capsys, monkeypatch):
    app = typer.Typer()

    @app.command()
    def verb():
        raise error

    monkeypatch.setattr("sys.argv", ["verb"])
    with pytest.raises(SystemExit) as ended:
        run_command_line(app, "program", mistakes=(ArgumentError,))
    assert ended.value.code == status
    assert capsys.readouterr().err == f"program: {sentence}\n"


def test_other_errors_keep_their_traceback(monkeypatch):
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def verb():
        raise ZeroDivisionError

    monkeypatch.setattr("sys.argv", ["verb"])
    with pytest.raises(ZeroDivisionError):
        run_command_line(app)


def test_the_version_is_that_of_the_installed_distribution():
    app = typer.Typer()

    @app.callback(invoke_without_command=True)
    def root(version: bool = typer.Option(False, "--version", callback=version_callback("irworks"), is_eager=True)):
        raise AssertionError("must not get here")

    done = CliRunner().invoke(app, ["--version"])
    assert done.exit_code == 0
    assert done.output.startswith("irworks 0.")


def test_a_warning_is_one_line_said_once(capsys):
    with warnings_as_lines():
        for _ in range(2):
            warnings.warn("weights are large", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == "warning: weights are large\n"


def test_json_has_no_infinities_and_takes_arrays():
    text = strict_json({"a": np.array([1.0, np.inf]), "b": [float("nan"), {"c": np.float64(2.5)}], 3: (1, None)})
    assert json.loads(text) == {"a": [1.0, None], "b": [None, {"c": 2.5}], "3": [1, None]}

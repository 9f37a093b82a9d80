"""What the tests of the packages lean on has to fail where it should."""

import sys

import pytest

from irworks.testing import Readme, run_main, run_python

TEXT = """# a

```bash
pip install a
```

```bash
irworks --version
irworks data list  # what there is
```

```python
print(1 + 1)
```

## Inside

Rooms.

## Licence

Free.
"""


@pytest.fixture
def document(tmp_path):
    (tmp_path / "README.md").write_text(TEXT, encoding="utf-8")
    return Readme(tmp_path / "README.md")


def test_blocks_and_sections_are_told_apart(document):
    assert document.blocks("python") == ["print(1 + 1)\n"]
    assert len(document.blocks("bash")) == 2
    assert document.section("Inside").strip() == "Rooms."
    assert document.section("Licence").strip() == "Free."
    with pytest.raises(LookupError, match=r"README\.md has no section 'Claims'"):
        document.section("Claims")


def test_an_example_is_run_and_its_error_passes_through(document):
    assert run_python(document.blocks("python")[0]) == "2\n"
    with pytest.raises(NameError):
        run_python("undefined")


def test_commands_are_run_and_one_that_fails_is_named(document, tmp_path):
    version, data = document.run_commands("irworks")
    assert version.startswith("irworks ")
    assert "letor" in data
    (tmp_path / "README.md").write_text("```bash\nirworks nonsense\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="irworks nonsense"):
        Readme(tmp_path / "README.md").run_commands("irworks")


def test_comments_and_empty_lines_between_commands_are_passed_over(tmp_path):
    blocks = [
        "```bash\n# irworks needs\npip install irworks\n```",
        "```bash\n# first\n\nirworks --version\n\n# then\n```",
    ]
    (tmp_path / "README.md").write_text("\n\n".join([*blocks, ""]), encoding="utf-8")
    (version,) = Readme(tmp_path / "README.md").run_commands("irworks")
    assert version.startswith("irworks ")


def test_a_command_leaves_status_output_and_errors():
    def main():
        sys.stdout.write(f"out {sys.argv}\n")
        sys.stderr.write("err\n")
        sys.exit(3)

    before = sys.argv
    done = run_main(main, "program", "a", 1)
    assert (done.status, done.out, done.err) == (3, "out ['program', 'a', '1']\n", "err\n")
    assert sys.argv is before
    assert run_main(lambda: sys.exit("no such file"), "program").status == 1
    assert "no such file" in run_main(lambda: sys.exit("no such file"), "program").err


def test_output_that_is_no_strict_json_is_refused():
    assert run_main(lambda: sys.stdout.write('{"a": 1}'), "program").json == {"a": 1}
    with pytest.raises(ValueError, match="NaN is not JSON"):
        _ = run_main(lambda: sys.stdout.write('{"a": NaN}'), "program").json

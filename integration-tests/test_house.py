"""The house: every package has the same plan, the commands of the README are the commands, imports stay light."""

import ast
import re
import runpy
import sys
import tomllib

COMMANDS = ("pip install uv && uv run irworks reproduce", "pip install uv && uv run pytest")


def _rooms(folder):
    """The modules and packages in a folder of source, by name."""
    return {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}


def test_every_package_has_the_rooms_that_every_package_has(package):
    assert {"README.md", "LICENSE", "src", "tests"} <= {path.name for path in package.folder.iterdir()}
    assert {"__init__", "cli", "claims"} <= _rooms(package.source)
    assert (package.source / "py.typed").is_file()
    assert {"test_readme", "test_claims"} <= _rooms(package.folder / "tests")


def test_every_package_is_named_after_its_folder(package):
    assert package.folder.name.replace("-", "_") == package.import_name
    claims = {package.folder.name: f"{package.import_name}.claims:CLAIMS"}
    assert package.project["scripts"] == {package.folder.name: f"{package.import_name}.cli:main"}
    assert package.project["entry-points"]["irworks.claims"] == claims


def test_the_front_door_of_a_package_holds_its_api_and_nothing_else(package):
    statements = ast.parse((package.source / "__init__.py").read_text(encoding="utf-8")).body
    docstring, *imports, exported = statements
    assert isinstance(docstring, ast.Expr)
    assert imports
    assert all(isinstance(statement, ast.Import | ast.ImportFrom) for statement in imports)
    assert isinstance(exported, ast.Assign)
    assert ast.unparse(exported.targets[0]) == "__all__"


def test_packages_depend_on_the_core_and_not_on_each_other(package, members):
    extras = package.project.get("optional-dependencies", {}).values()
    needs = [*package.project["dependencies"], *(requirement for extra in extras for requirement in extra)]
    names = {re.match(r"[\w.-]+", requirement).group() for requirement in needs}
    assert names & {member.name for member in members} == {"irworks"}


def test_members_share_licence_python_and_a_way_to_be_tested_alone(root, members):
    for member in members:
        assert member.project["license"] == "Apache-2.0"
        assert (member.folder / "LICENSE").read_bytes() == (root / "LICENSE").read_bytes()
        assert member.project["requires-python"] == ">=3.11"
        assert any(requirement.startswith("pytest>") for requirement in member.config["dependency-groups"]["dev"])


def test_a_plain_uv_run_has_every_member(root, members):
    needs = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    assert {re.match(r"[\w.-]+", requirement).group() for requirement in needs} == {member.name for member in members}


def test_the_import_rules_know_every_package(root, members):
    rules = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    contracts = {contract["id"]: contract for contract in rules["contracts"]}
    packages = {member.import_name for member in members[1:]}
    apart, core = contracts["packages"]["layers"]
    assert set(rules["root_packages"]) == packages | {"irworks"}
    assert {name.strip() for name in apart.split("|")} == packages
    assert core == "irworks"
    assert set(contracts["claims"]["protected_modules"]) == {f"{name}.claims" for name in packages}


def test_the_readme_has_exactly_its_two_commands(root):
    readme = (root / "README.md").read_text(encoding="utf-8")
    assert tuple(re.findall(r"^pip install uv .*$", readme, flags=re.MULTILINE)) == COMMANDS


def test_ci_runs_the_test_command_of_the_readme(root):
    lines = {line.strip(" ()") for line in (root / ".ci" / "run").read_text(encoding="utf-8").splitlines()}
    assert COMMANDS[1] in lines


def test_a_change_concerns_its_package_and_any_other_change_concerns_all(root, members):
    concerned = runpy.run_path(str(root / ".ci" / "changed_members.py"))["concerned"]
    everyone = [member.name for member in members]
    some = f"packages/{members[1].folder.name}"
    assert [found["name"] for found in concerned([f"{some}/README.md", f"{some}/src/x.py"])] == [members[1].name]
    assert [found["name"] for found in concerned([f"{some}/README.md", "shared/src/irworks/errors.py"])] == everyone
    assert [found["name"] for found in concerned(["uv.lock"])] == everyone
    assert [found["name"] for found in concerned(None)] == everyone
    assert concerned([]) == []
    assert concerned([f"{some}-too/README.md"]) == []


def test_importing_the_core_is_quick_and_light(workshop):
    assert workshop.import_seconds(sys.executable, "irworks", limit=0.3) < 0.3
    heavy = {"numpy", "pandas", "pyarrow", "scipy", "torch", "ray", "matplotlib", "rich"}
    assert not heavy & workshop.loaded_by(sys.executable, "irworks")


def test_importing_a_package_is_quick_and_light(workshop, package):
    assert workshop.import_seconds(sys.executable, package.import_name, limit=1.0) < 1.0
    assert not {"torch", "ray", "matplotlib"} & workshop.loaded_by(sys.executable, package.import_name)


# Rooms that are networks or take gradients; by the name of each, others import them where they are used.
WITH_TORCH = {
    *(f"irworks.encoders.{room}" for room in ("network", "sentence_network")),
    *(f"amharic_ir.train.{room}" for room in ("losses", "loop")),
    "rec_unlearn.curvature",
    *(
        f"rec_unlearn.models.{room}"
        for room in ("distributed", "factors", "lightgcn", "sequence", "sets2sets", "sparse", "torch_base")
    ),
    *(
        f"rec_unlearn.algorithms.{room}"
        for room in ("block", "calibrated", "general", "gif", "gradients", "imcorrect", "noise", "scif")
    ),
}


def test_no_module_imports_torch_or_ray_when_it_is_imported(workshop, members):
    modules = [
        ".".join(path.relative_to(member.source.parent).with_suffix("").parts).removesuffix(".__init__")
        for member in members
        for path in sorted(member.source.rglob("*.py"))
    ]
    assert set(modules) >= WITH_TORCH
    others = [module for module in modules if module not in WITH_TORCH]
    assert not {"torch", "ray"} & workshop.loaded_by(sys.executable, *others)

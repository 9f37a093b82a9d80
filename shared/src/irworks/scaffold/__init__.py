"""A new package in the plan that all packages share: `python -m irworks.scaffold NAME`, from a clone."""

from irworks.scaffold.package import Names, add_package
from irworks.scaffold.workspace import Workspace

__all__ = ["Names", "Workspace", "add_package"]

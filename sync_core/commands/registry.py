"""Which commands there are and what each needs, as the families declare it.

Each family's module has `COMMANDS: Final[Mapping[str, Permission]]`: the public methods of its class, each with the
permission that it gives to `Desk.run`. docs/permissions.md and its tests are made from this, so a method without an
entry, or an entry without a method, is an error.
"""

import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sync_core.authority import Permission
from sync_core.commands.commands import Commands
from sync_core.commands.evidence import EvidenceExport
from sync_core.commands.ocds_import import OcdsImport

# Those that need more than a desk, and so stand beside the facade.
BESIDE: Final[Mapping[str, type]] = {"evidence": EvidenceExport, "ocds": OcdsImport}


@dataclass(frozen=True, slots=True)
class Command:
    """One command: `commands.<family>.<name>`."""

    family: str
    name: str
    needs: Permission

    def __str__(self) -> str:
        return f"{self.family}.{self.name}"


class Undeclared(RuntimeError):
    """A family and its COMMANDS differ; add the missing line there."""


def families(commands: Commands) -> dict[str, type]:
    """The class of each family, by the name it is called by."""
    served = {name: type(value) for name, value in vars(commands).items() if name != "desk"}
    return {**served, **BESIDE}


def collect(commands: Commands) -> list[Command]:
    """Every command, family by family, as declared. Raises Undeclared."""
    return [command for family, of in families(commands).items() for command in declared(family, of)]


def declared(family: str, of: type) -> list[Command]:
    """The commands of one family. Raises Undeclared."""
    permissions: Mapping[str, Permission] = getattr(sys.modules[of.__module__], "COMMANDS", {})
    methods = [name for name, _ in inspect.getmembers(of, inspect.isfunction) if not name.startswith("_")]
    if different := set(methods) ^ set(permissions):
        raise Undeclared(f"{of.__module__}: COMMANDS and the methods of {of.__name__} differ in {sorted(different)}")
    return [Command(family, name, needs) for name, needs in permissions.items()]

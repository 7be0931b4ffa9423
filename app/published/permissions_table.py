"""docs/permissions.md: who may do what, collected from the pages, the commands and the API's routes themselves.

`make docs` writes it; a test compares it with the code, and others try its cells.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from app.dashboard import discover
from app.postgres.urls import DatabaseUrls
from app.published.route_permissions import permissions_of
from app.settings import Settings
from app.wiring import Wiring
from app.wiring_web import api
from sync_core.authority import BY_FUNCTION, PERMISSIONS, Permission, Role
from sync_core.commands.commands import Commands
from sync_core.commands.registry import collect

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "permissions.md"
_NO_DATABASE: Final = "postgresql://nobody@127.0.0.1:1/none"  # nothing here connects

_HEAD: Final = """\
# Who may do what

Made from the code by `make docs`; do not edit it. A page that a person may not use is not in their navigation, and a
link to it says which role has it; a command refuses by the same table, whoever calls it: a page, the API or the
command line. Programs have scopes instead of roles: the permission is the scope. A route that needs none is public, or
knows its sender by a signature or a client's secret.

**Reach.** A role is granted with its reach, `role[:function][@entity+entity]`: `operator:tax@UK01+DE01` is an operator
of tax for two legal entities. Without `@` it reaches all of them. Lists, numbers and downloads show what lies within
reach; a contract or exception beyond it is answered like one that does not exist. A contract whose legal entity is not
known yet is seen only by those who reach all. "own function" means that an operator of a business function may do it
only for exceptions of that function; an operator without one, for all. "own or untaken" adds those of any function that
nobody has taken yet, and those that were assigned to oneself.

"""


_FOR_ALL: Final = ("comment", "filter")  # in the names of what no function is asked for


class Kind(StrEnum):
    PAGE = "Page"
    COMMAND = "Command"
    ROUTE = "Route"


@dataclass(frozen=True, slots=True)
class Thing:
    """What a permission opens. `needs` None: a page for everyone; a route that is public or knows its sender itself."""

    kind: Kind
    name: str
    needs: Permission | None

    def cell(self, role: Role) -> str:
        """Whether the role may use it."""
        if self.needs is None:
            return "yes" if self.kind is Kind.PAGE else ""
        if self.needs not in PERMISSIONS[role]:
            return ""
        if role is not Role.OPERATOR or self.needs not in BY_FUNCTION or any(one in self.name for one in _FOR_ALL):
            return "yes"
        return "own or untaken" if self.needs is Permission.EXCEPTIONS_WRITE else "own function"


def pages(package: str = "pages") -> list[Thing]:
    """In navigation order."""
    return [Thing(Kind.PAGE, one.page.title, one.page.needs) for one in discover(package)]


def commands(facade: Commands) -> list[Thing]:
    """Family by family."""
    return [Thing(Kind.COMMAND, str(command), command.needs) for command in collect(facade)]


def routes(app: FastAPI) -> list[Thing]:
    """The API's routes by path, `GET /v1/contracts`. A route has one permission; Depends(needs(...)) declares it."""
    found = []
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, APIRoute) and route.include_in_schema:
            asked = permissions_of(route)
            if len(asked) > 1:
                raise ValueError(f"{route.path} asks for {', '.join(sorted(asked))}; let a route need one permission")
            needs = next(iter(asked), None)
            found += [Thing(Kind.ROUTE, f"{method} {route.path}", needs) for method in sorted(route.methods or ())]
    return sorted(found, key=lambda thing: thing.name.partition(" ")[::-1])


def document(things: Sequence[Thing]) -> str:
    """The table with the rule of reach above it."""
    head = ["", "", "Needs", *(role.value for role in Role)]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for thing in things:
        needs = f"`{thing.needs}`" if thing.needs else "none"
        name = thing.name if thing.kind is Kind.PAGE else f"`{thing.name}`"
        lines.append(f"| {thing.kind} | {name} | {needs} | {' | '.join(thing.cell(role) for role in Role)} |")
    return _HEAD + "\n".join(lines) + "\n"


def everything() -> list[Thing]:
    """Of the product itself; connects to nothing."""
    urls = DatabaseUrls(_NO_DATABASE, _NO_DATABASE, _NO_DATABASE, _NO_DATABASE, embedded=False)
    wiring = Wiring(Settings(database_url=None, estate=None), "docs", urls)
    engine = sa.create_engine("postgresql+psycopg://", poolclass=sa.NullPool)
    facade = Commands(engine, clock=wiring.clock, estate=wiring.estate)
    return [*pages(), *commands(facade), *routes(api(wiring))]


def main(out: Path = DOCUMENT) -> None:
    """Write the document."""
    out.write_text(document(everything()), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))

"""What the commands for exceptions, quarantine and replays share: the database, the actor, and texts on a terminal."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer
from rich.markup import escape

from app.cli.actor import operator_of_this_machine
from app.cli.begin import begin
from app.cli.refusals import Exit, Refusal
from sync_core.money import Money, written

if TYPE_CHECKING:
    from pydantic import BaseModel

    from sync_core.authority import Actor
    from sync_core.commands.chosen import CasesChanged
    from sync_core.commands.commands import Commands
    from sync_core.reads.paging import Listed
    from sync_core.reads.reads import Reads

Row = TypeVar("Row")
AsJson = Annotated[bool, typer.Option("--json", help="JSON as the API answers it, for programs.")]
Reason = Annotated[str, typer.Option(help="Why; kept in the audit.")]
Limit = Annotated[int, typer.Option(min=1, max=500, help="Rows shown.")]
NAMED: Final = "By its CLM's id, by clm/id where several CLMs have that id, or by Tieline's number."


@dataclass(frozen=True, slots=True)
class Work:
    """One command's way to the database."""

    actor: "Actor"
    commands: "Commands"
    reads: "Reads"


def work(part: str) -> Work:
    """As every command begins."""
    from app.wiring import Wiring
    from sync_core.commands.commands import Commands
    from sync_core.reads.reads import Reads

    wiring = Wiring(begin(part), part)
    engine = wiring.engine(pool_size=1)
    with engine.connect() as conn:
        wiring.govern(conn)
    reads = Reads(engine, clock=wiring.clock, estate=wiring.estate)
    commands = Commands(engine, clock=wiring.clock, estate=wiring.estate)
    return Work(operator_of_this_machine(), commands, reads)


def contracts_named(one: Work, names: Sequence[str]) -> list[int]:
    """Tieline's numbers of these contracts. Raises NotFound; InvalidInput for a name that fits several."""
    from sync_core.commands.named import found

    return found(one.commands.desk, names) if names else []


def plain(given: object) -> str:
    """Words of others for a terminal, whose control sequences they must not be."""
    from sync_core.commands.words import visible

    return "" if given is None else visible(str(given), lines=True)


def text(given: object) -> str:
    """The same for a cell of a table, where markup is obeyed."""
    return escape(plain(given))


def money(given: Money | None) -> str:
    return "" if given is None else written(given.amount, given.currency)


def of_all(page: "Listed[Row]") -> None:
    """How many of how many, beside what a program reads."""
    typer.echo(f"{len(page.rows):,} of {page.total_text}", err=True)


def print_page(page: "Listed[Row]", make: "Callable[[Row], BaseModel]") -> None:
    """An array of views. One that was cut says so, to a program too."""
    print_json([make(row) for row in page.rows])
    if page.total > len(page.rows):
        of_all(page)


def print_json(found: "BaseModel | Sequence[BaseModel]") -> None:
    """One object, or an array."""
    from pydantic import BaseModel

    if isinstance(found, BaseModel):
        typer.echo(json.dumps(found.model_dump(mode="json"), indent=2))
    else:
        typer.echo(json.dumps([view.model_dump(mode="json") for view in found], indent=2))


def report(done: "CasesChanged", what: str) -> None:
    """What became of exceptions. Raises Refusal when some of them stayed as they were."""
    typer.echo(f"{what}: {', '.join(map(str, done.changed))}")
    for one in done.refused:
        typer.echo(f"not changed: {plain(one.words)}", err=True)
    if done.refused:
        raise Refusal(f"{len(done.refused):,} exceptions stayed as they were; the lines above say why", Exit.REFUSED)

"""`tieline exceptions sides, resolve, identify, take-back`: what two systems say otherwise, a person's word on it."""

from typing import Annotated

import typer

from app.cli.exceptions import Id, exceptions, looked_up
from app.cli.table import draw, table
from app.cli.work import AsJson, Reason, plain, text, work

__all__ = ["exceptions"]


@exceptions.command()
def sides(exception_id: Id, as_json: AsJson = False) -> None:
    """Show what two systems say otherwise: fields of an ownership conflict, or customers that are alike."""
    found = looked_up(exception_id)
    if as_json:
        from app.api.conflicts import sides_of

        typer.echo(sides_of(found).model_dump_json(indent=2))
        return
    drawn = table("name", "contract", "ERP", "last equal", "owner", "who may take the ERP's")
    for one in found.conflicts:
        who = one.setter.replace("_", " ") if one.setter else "nobody"
        drawn.add_row(text(one.name), *(text(v) for v in (one.wanted, one.found, one.agreed)), text(one.owner), who)
    for record in found.alike.records if found.alike else ():
        stated = found.alike.stated.name if found.alike else ""
        drawn.add_row(text(record.id), text(stated), text(record.name), "", "MDM", "")
    draw(drawn)
    decided = found.alike.decision if found.alike else None
    if decided is not None:
        typer.echo(f"{plain(decided.code)} {plain(decided.words)}: {plain(decided.decided_by)} decided it on "
                   f"{decided.decided_at:%Y-%m-%d}; `tieline exceptions take-back` undoes it")  # fmt: skip


@exceptions.command()
def resolve(
    exception_id: Id,
    reason: Reason,
    keep: Annotated[list[str] | None, typer.Option(help="A field whose contract value counts; repeat it.")] = None,
    take: Annotated[list[str] | None, typer.Option(help="A field whose ERP value counts; repeat it.")] = None,
) -> None:
    """Decide an ownership conflict, field by field as `sides` names them."""
    from sync_core.commands.conflicts import Take

    one = work("exceptions")
    decisions = {**dict.fromkeys(keep or (), Take.OURS), **dict.fromkeys(take or (), Take.THEIRS)}
    done = one.commands.conflicts.resolve(one.actor, exception_id, decisions, reason)
    typer.echo(f"kept {len(done.kept)}, taken from the ERP {len(done.taken)}; it closes once the ERP was read back")


@exceptions.command()
def identify(
    exception_id: Id,
    reason: Reason,
    record: Annotated[str | None, typer.Option("--is", help="Master record that it is; else another one.")] = None,
) -> None:
    """Say which customer of master data a contract's customer is, as `sides` names them."""
    one = work("exceptions")
    done = one.commands.customers.identify(one.actor, exception_id, record, reason)
    what = f"is {plain(done.is_code)}" if done.is_code else "is a customer of its own"
    typer.echo(f"{plain(done.code)} {what}; contracts that look again: {done.contracts}")


@exceptions.command(name="take-back")
def take_back(
    exception_id: Id, code: Annotated[str, typer.Option(help="The customer's, as `sides` shows it.")], reason: Reason
) -> None:
    """Undo what was decided with `identify`; contracts with that customer code wait for another decision."""
    one = work("exceptions")
    done = one.commands.customers.take_back(one.actor, exception_id, code, reason)
    was = plain(done.was_code) if done.was_code else "a customer of its own"
    typer.echo(f"{plain(done.code)} is not {was} any more; contracts that are planned again: {done.contracts}")

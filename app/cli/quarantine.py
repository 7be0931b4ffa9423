"""`tieline quarantine`: events that were not understood, for a shell."""

from typing import Annotated

import typer

from app.cli.refusals import Exit, Refusal
from app.cli.table import draw, table
from app.cli.work import AsJson, Limit, Reason, of_all, plain, print_json, print_page, text, work

quarantine = typer.Typer(help="Events in quarantine: list, look at, release, dismiss.", no_args_is_help=True)

Ids = Annotated[list[int], typer.Argument(help="As `tieline quarantine list` shows them.")]
_STATES = ("waiting", "released", "dismissed", "all")


@quarantine.command(name="list")
def list_quarantine(
    state: Annotated[str, typer.Option(help="waiting, released, dismissed or all.")] = "waiting",
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Show events in quarantine, oldest first."""
    from sync_core.reads.paging import Window
    from sync_core.reads.quarantine import QuarantineFilter

    if state not in _STATES:
        raise typer.BadParameter(f"{state!r} is none of {', '.join(_STATES)}", param_hint="--state")
    wanted = QuarantineFilter(state="" if state == "all" else state)  # type: ignore[arg-type]  # looked at above
    page = work("quarantine").reads.quarantine(wanted, window=Window(limit))
    if as_json:
        from app.api.quarantine import QuarantinedView

        print_page(page, QuarantinedView.model_validate)
        return
    drawn = table("id", "received", "source", "type", "contract", "state", "why")
    for row in page.rows:
        drawn.add_row(
            str(row.quarantine_id), f"{row.recorded_at:%Y-%m-%d %H:%M}", text(row.source), text(row.type),
            text(row.external_id), row.state, text(row.reason),
        )  # fmt: skip
    draw(drawn)
    of_all(page)


@quarantine.command()
def show(
    quarantine_id: Annotated[int, typer.Argument(help="As `tieline quarantine list` shows it.")],
    as_json: AsJson = False,
) -> None:
    """Show one event with its body."""
    from sync_core.commands.desk import NotFound

    found = work("quarantine").reads.quarantined(quarantine_id)
    if found is None:
        raise NotFound(
            f"there is no quarantined event {quarantine_id}; `tieline quarantine list --state all` lists them"
        )
    if as_json:
        from app.api.quarantine import QuarantinedView

        print_json(QuarantinedView.model_validate(found))
        return
    typer.echo(plain(f"{found.type} from {found.source}, {found.state}: {found.reason}"))
    typer.echo(plain(found.body))
    if found.cut:
        typer.echo(f"only the beginning of {found.size:,} bytes is shown", err=True)


@quarantine.command()
def release(quarantine_ids: Ids, reason: Annotated[str, typer.Option(help="Why; kept in the audit.")] = "") -> None:
    """Try events again now. Those that are still not understood stay."""
    one = work("quarantine")
    done = one.commands.quarantine.release(one.actor, quarantine_ids, reason=reason)
    typer.echo(f"released: {', '.join(map(str, done.changed))}")
    _told([held.words for held in done.held])


@quarantine.command()
def dismiss(quarantine_ids: Ids, reason: Reason) -> None:
    """Never try events again; they are kept whole all the same."""
    one = work("quarantine")
    done = one.commands.quarantine.dismiss(one.actor, quarantine_ids, reason)
    typer.echo(f"dismissed: {', '.join(map(str, done.changed))}")
    _told([held.words for held in done.held])


def _told(held: list[str]) -> None:
    for words in held:
        typer.echo(f"stays: {plain(words)}", err=True)
    if held:
        raise Refusal(f"{len(held):,} events stay in quarantine; the lines above say why", Exit.REFUSED)

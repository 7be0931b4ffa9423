"""`tieline renewals`: what is to be renewed and by when."""

from typing import Annotated

import typer

from app.cli.table import draw, table
from app.cli.work import AsJson, Limit, money, print_page, text, work


def renewals(
    days: Annotated[int, typer.Option(min=0, max=3650, help="Due within so many days of today.")] = 90,
    entity: Annotated[str, typer.Option(help="A legal entity's code.")] = "",
    state: Annotated[str, typer.Option(help="manual, automatic, initiated or declined; all if left out.")] = "",
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Show contracts that are to be renewed, and those whose renewal was declined; what has passed comes last."""
    from sync_core.reads.paging import Window
    from sync_core.reads.renewals import SHOWN, RenewalFilter

    chosen = tuple(one for one in SHOWN if one.value == state)
    if state and not chosen:
        raise typer.BadParameter(f"{state!r} is none of {', '.join(SHOWN)}", param_hint="--state")
    wanted = RenewalFilter(days, entity, chosen)
    reads = work("renewals").reads
    page = reads.renewals(wanted, window=Window(limit))
    if as_json:
        from app.api.renewals import RenewalView

        print_page(page, RenewalView.model_validate)
        return
    drawn = table("contract", "customer", "entity", "renewal", "due", "renews", "value", "alerted")
    for row in page.rows:
        drawn.add_row(
            text(row.external_id), text(row.customer_name), text(row.legal_entity), row.renewal.value,
            f"{row.due_on}, passed" if row.passed else row.due_on.isoformat(),
            row.renews_on.isoformat() if row.renews_on else "-", money(row.value),
            f"{row.alerted} days ahead" if row.alerted else "-",
        )  # fmt: skip
    draw(drawn)
    totals = reads.renewal_totals(wanted)
    told = ", ".join(f"{one.value} {total.count:,} ({money(total.money)})" for one, total in totals.items())
    typer.echo(f"{len(page.rows):,} of {page.total_text}{f'; {told}' if told else ''}", err=True)

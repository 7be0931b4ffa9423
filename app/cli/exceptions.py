"""`tieline exceptions`: what the pages and the API do with exceptions, for a shell."""

import json
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from app.cli.table import draw, table
from app.cli.work import AsJson, Limit, Reason, money, of_all, plain, print_json, print_page, report, text, work

CaseState = Literal["open", "resolved", "decided", "closed", "all"]  # as ExceptionFilter has it

if TYPE_CHECKING:
    from sync_core.reads.case import CaseDetail
    from sync_core.reads.exceptions import ExceptionFilter

exceptions = typer.Typer(help="Exceptions: list, look at, work on, correct, approve.", no_args_is_help=True)

Ids = Annotated[list[int], typer.Argument(help="As `tieline exceptions list` shows them.")]
Id = Annotated[int, typer.Argument(help="As `tieline exceptions list` shows it.")]
Function = Annotated[str, typer.Option(help="Of one business function, e.g. tax.")]
Entity = Annotated[str, typer.Option(help="Of one legal entity.")]
State = Annotated[str, typer.Option(help="open, resolved, decided, closed or all.")]


@exceptions.command(name="list")
def list_exceptions(
    function: Function = "",
    entity: Entity = "",
    state: State = "open",
    cause: Annotated[str, typer.Option(help="Of one cause.")] = "",
    assignee: Annotated[str, typer.Option(help="That this person has.")] = "",
    search: Annotated[str, typer.Option("--text", help="In the contract's id, title, customer or project.")] = "",
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Show exceptions, most money first."""
    from sync_core.reads.paging import Window

    wanted = _filter(function, entity, state, cause=cause, assignee=assignee, text=search)
    page = work("exceptions").reads.exceptions(wanted, window=Window(limit))
    if as_json:
        from app.api.exception_views import ExceptionView

        print_page(page, ExceptionView.model_validate)
        return
    drawn = table("id", "contract", "entity", "cause", "function", "assignee", "money held up", "what is wrong")
    for row in page.rows:
        drawn.add_row(
            str(row.case_id), text(row.external_id), text(row.legal_entity), text(row.cause), text(row.function),
            text(row.assignee), money(row.exposure), text(row.message),
        )  # fmt: skip
    draw(drawn)
    of_all(page)


@exceptions.command()
def groups(function: Function = "", entity: Entity = "", state: State = "open", as_json: AsJson = False) -> None:
    """Show exceptions that one person can mend in one go as one row."""
    found = work("exceptions").reads.case_groups(_filter(function, entity, state))
    if as_json:
        from app.api.exception_views import GroupView

        print_json([GroupView.model_validate(one) for one in found])
        return
    drawn = table("exceptions", "cause", "function", "entity", "money held up", "overdue", "for instance")
    for one in found:
        drawn.add_row(
            f"{one.exposure.count:,}", text(one.cause), text(one.function), text(one.legal_entity),
            money(one.exposure.money), f"{one.overdue:,}", text(f"{one.example_id}: {one.example}"),
        )  # fmt: skip
    draw(drawn)


@exceptions.command()
def show(exception_id: Id, as_json: AsJson = False) -> None:
    """Show one exception, its history, and what corrects it."""
    found = looked_up(exception_id)
    if as_json:
        from app.api.exception_views import CorrectionFormView, ExceptionView, HistoryView

        typer.echo(
            json.dumps(
                {
                    "exception": ExceptionView.model_validate(found.row).model_dump(mode="json"),
                    "history": [HistoryView.model_validate(one).model_dump(mode="json") for one in found.history],
                    "correction": found.form and CorrectionFormView.model_validate(found.form).model_dump(mode="json"),
                },
                indent=2,
            )
        )
        return
    _draw(found)


@exceptions.command()
def assign(
    exception_ids: Ids,
    to: Annotated[str | None, typer.Option(help="A person's e-mail address; nobody without it.")] = None,
) -> None:
    """Give exceptions to a person, or to nobody."""
    one = work("exceptions")
    report(one.commands.cases.assign(one.actor, exception_ids, to), "assigned" if to else "given to nobody")


@exceptions.command(name="hand-over")
def hand_over(
    exception_ids: Ids, to: Annotated[str, typer.Option(help="The function that gets them.")], reason: Reason
) -> None:
    """Hand exceptions over to another business function."""
    from sync_core.errors import Function as Known

    if to not in set(Known):
        raise typer.BadParameter(f"{to!r} is no function; there are {', '.join(Known)}", param_hint="--to")
    one = work("exceptions")
    report(one.commands.cases.hand_over(one.actor, exception_ids, Known(to), reason), "handed over")


@exceptions.command()
def ack(exception_ids: Ids) -> None:
    """Say that somebody has seen them."""
    one = work("exceptions")
    report(one.commands.cases.acknowledge(one.actor, exception_ids), "acknowledged")


@exceptions.command()
def comment(exception_id: Id, words: Annotated[str, typer.Argument(help="Plain text.")]) -> None:
    """Comment on an exception."""
    one = work("exceptions")
    report(one.commands.cases.comment(one.actor, exception_id, words), "commented")


@exceptions.command()
def decide(exception_ids: Ids, reason: Reason) -> None:
    """Close exceptions by decision, without anything being mended."""
    one = work("exceptions")
    report(one.commands.cases.decide(one.actor, exception_ids, reason), "decided")


@exceptions.command()
def correct(
    exception_id: Id,
    values: Annotated[str, typer.Option(help='JSON as `show --json` has it under correction.values; "-": from stdin.')],
    reason: Annotated[str, typer.Option(help="Why; kept in the audit. Not with --preview.")] = "",
    preview: Annotated[bool, typer.Option("--preview", help="Only show what it would change.")] = False,
) -> None:
    """Correct the contract that an exception is about."""
    given, one = _values(values), work("exceptions")
    done = (
        one.commands.corrections.preview(one.actor, exception_id, given)
        if preview
        else one.commands.corrections.submit(one.actor, exception_id, given, reason)
    )
    for change in done.changes:
        typer.echo(plain(change))
    for finding in done.remaining:
        typer.echo(f"still: {plain(finding.message)}")
    typer.echo(plain(done.verdict))
    if preview:
        typer.echo("nothing was stored")
    else:
        typer.echo("stored; the exception closes once a run no longer finds its cause, at the latest when the ERP was "
                   "read back")  # fmt: skip


@exceptions.command()
def accept(exception_id: Id, reason: Reason) -> None:
    """Accept a silent change: what the CLM published becomes the agreed terms."""
    one = work("exceptions")
    for change in one.commands.amendments.accept(one.actor, exception_id, reason).changes:
        typer.echo(plain(change))
    typer.echo("accepted; the exception closes with the next run of the contract")


@exceptions.command()
def approve(exception_id: Id, reason: Reason) -> None:
    """Approve what an exception asks an approval for."""
    _decide(exception_id, reason, approve=True)


@exceptions.command()
def refuse(exception_id: Id, reason: Reason) -> None:
    """Refuse what an exception asks an approval for."""
    _decide(exception_id, reason, approve=False)


def _decide(exception_id: int, reason: str, *, approve: bool) -> None:
    from sync_core.money import Money

    one = work("exceptions")
    done = one.commands.approvals.decide(one.actor, exception_id, approve, reason)
    typer.echo(
        f"{'approved' if approve else 'refused'}: {plain(done.rule)}, {money(Money(done.amount, done.currency))}"
    )


def _filter(
    function: str, entity: str, state: str, *, cause: str = "", assignee: str = "", text: str = ""
) -> "ExceptionFilter":
    from sync_core.errors import Function as Known
    from sync_core.reads.exceptions import ExceptionFilter

    if state not in get_args(CaseState):
        raise typer.BadParameter(f"{state!r} is none of {', '.join(get_args(CaseState))}", param_hint="--state")
    if function and function not in set(Known):
        raise typer.BadParameter(f"{function!r} is no function; there are {', '.join(Known)}", param_hint="--function")
    known: CaseState = state  # type: ignore[assignment]  # looked at above
    return ExceptionFilter(
        function=function, legal_entity=entity, state=known, cause=cause, assignee=assignee, text=text
    )


def looked_up(exception_id: int) -> "CaseDetail":
    from sync_core.commands.desk import NotFound

    found = work("exceptions").reads.case(exception_id)
    if found is None:
        raise NotFound(f"there is no exception {exception_id}; `tieline exceptions list --state all` lists them")
    return found


def _draw(found: "CaseDetail") -> None:
    row, drawn = found.row, table("", "")
    drawn.show_header = False
    for name, value in (
        ("exception", f"{row.case_id}, {row.state}, version {row.version}"),
        ("contract", f"{row.external_id} {row.title}"),
        ("legal entity", row.legal_entity), ("cause", row.cause), ("function", row.function),
        ("assignee", row.assignee or "nobody"), ("what is wrong", row.message), ("money held up", money(row.exposure)),
        ("due", f"{row.due_at:%Y-%m-%d %H:%M}" if row.due_at else "not known"),
        *((f"{one.kind} {one.what}", f"{one.held or 'nothing'} → {one.wanted or 'nothing'}")
          for one in found.differences),
        *_how(found),
    ):  # fmt: skip
        drawn.add_row(text(name), text(value))
    draw(drawn)
    for moment in found.history:
        note = f": {plain(moment.note)}" if moment.note else ""
        typer.echo(
            f"{moment.occurred_at:%Y-%m-%d %H:%M}  {moment.what.replace('_', ' ')} by {plain(moment.actor)}{note}"
        )


def _how(found: "CaseDetail") -> list[tuple[str, str]]:
    """Of an open one how it is mended, of a closed one how it closed; and what it follows."""
    row, told = found.row, list[tuple[str, str]]()
    if row.state == "open":
        told.append(("how to mend", found.form.where if found.form else "its events cannot be read"))
    else:
        from sync_core.reads.case import CLOSED

        how = CLOSED.get(row.closed_how or "", "not known how")
        told.append(("closed", f"{row.resolved_at or row.seen_at:%Y-%m-%d %H:%M}, {how}"))
    if row.decided_by:
        told.append(("decided", f"by {row.decided_by}: {row.decided_reason or ''}"))
    if found.refused:
        told.append(("refused", f"by {found.refused.by} on {found.refused.at:%Y-%m-%d %H:%M}: {found.refused.reason}"))
    if found.follows:
        told.append(("follows", f"the correction of exception {found.follows.case_id} by {found.follows.actor}"))
    if found.followed_by:
        told.append(("followed by", f"exception {found.followed_by}, found after the correction"))
    return told


def _values(given: str) -> dict[str, object]:
    words = typer.get_text_stream("stdin").read() if given == "-" else given
    try:
        found = json.loads(words)
    except json.JSONDecodeError as wrong:
        raise typer.BadParameter(f"no JSON: {wrong}", param_hint="--values") from wrong
    if not isinstance(found, dict):
        raise typer.BadParameter("a JSON object is wanted", param_hint="--values")
    return found

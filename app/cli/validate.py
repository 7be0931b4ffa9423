"""`tieline validate`: what a CLM asks before signature, for a file and a person."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.refusals import Exit, Refusal
from app.cli.table import draw, table
from app.cli.work import AsJson, plain, print_json, text, work

if TYPE_CHECKING:
    from app.api.validations import ValidationView

_LONGEST = 1 << 20


def validate(
    file: Annotated[
        Path, typer.Argument(help="JSON: terms, or an event or a request of POST /v1/validations that holds them.")
    ],
    as_json: AsJson = False,
) -> None:
    """Say whether terms would be provisioned if they were signed now, and what speaks against it. Writes nothing.

    Exit code 24: they would not be. 25: not all of it is known; a running worker finds it out within minutes.
    """
    from app.api.validations import draft_of, validation_view
    from sync_core.references import store

    one = work("validate")
    draft = draft_of(_request(file), one.reads.estate)
    found = one.reads.validation(draft)
    if found.unverified:
        with one.commands.desk.engine.begin() as conn:
            questions = [each.question for each in found.unverified]
            store.queue(conn, questions, now=one.commands.desk.clock.now())
    shown = validation_view(found, draft)
    if as_json:
        print_json(shown)
    else:
        _draw(shown)
    if found.findings:
        raise Refusal(f"It would not be provisioned: {plain(found.findings[0].message)}", Exit.DIFFERS)
    if found.unverified:
        raise Refusal("Nothing speaks against it, but not all is known yet.", Exit.NOT_KNOWN)


def _request(file: Path) -> bytes:
    """The body of a request. Numbers stay as they are written. Raises InvalidInput."""
    from sync_core.commands.desk import InvalidInput
    from sync_core.json_exact import dump, parse

    if file.stat().st_size > _LONGEST:
        raise InvalidInput(f"{file} is over {_LONGEST:,} bytes")
    try:
        given = parse(file.read_bytes())
    except ValueError as wrong:
        raise InvalidInput(f"{file} cannot be read: {wrong}") from wrong
    if not isinstance(given, dict):
        raise InvalidInput(f"{file} holds no object; it is to hold terms")
    data = given.get("data") if "specversion" in given else given
    if isinstance(data, dict) and "terms" in data:
        known = {"terms": data["terms"], "source": given.get("source"), "contract_id": data.get("contract_id")}
        known |= {name: data[name] for name in ("approval", "clauses") if name in data}
        return dump(known)
    return dump({"terms": given})


def _draw(shown: "ValidationView") -> None:
    lane = plain(shown.lane) or "no ERP is known"
    answer = "yes" if shown.would_provision else "no" if shown.findings else "not known yet"
    typer.echo(f"would be provisioned: {answer} ({lane}, policy {shown.policy})")
    for one in shown.references_as_of:
        typer.echo(f"master data of {plain(one.system)} as of {one.observed_at:%Y-%m-%d %H:%M} UTC, or later")
    if shown.approval is not None:
        typer.echo(f"needs an approval: {plain(shown.approval.rule)}, of {shown.approval.function.value}")
    if shown.findings:
        drawn = table("cause", "function", "what is wrong", "what to do")
        for each in shown.findings:
            drawn.add_row(each.cause, each.function.value, text(each.message), text(each.mended))
        draw(drawn)
    for unknown in shown.unverified:
        typer.echo(plain(unknown.message))
    if shown.operations and not shown.findings:
        drawn = table("would", "kind", "key")
        for planned in shown.operations:
            drawn.add_row(planned.action.value, planned.kind.value, text(planned.key))
        draw(drawn)

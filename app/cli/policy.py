"""`tieline policy`: why a contract is decided on as it is, what another would change, bringing one into force."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.begin import begin
from app.cli.refusals import Exit, Refusal
from app.cli.table import draw, table
from app.cli.work import AsJson, Limit, Reason, contracts_named, plain, text, work

if TYPE_CHECKING:
    from sync_core.commands.policies import Proposed
    from sync_core.reads.policy import BackTest

policy = typer.Typer(
    help="Decision tables: explain, check, compare with another policy, propose and approve one.", no_args_is_help=True
)
Number = Annotated[int, typer.Argument(min=1, help="Of the proposal.")]
Toml = Annotated[Path, typer.Argument(help="A policy file, see docs/policy.md.")]


@policy.command()
def explain(
    contract: Annotated[str, typer.Argument(help="By its CLM's id, or by Tieline's number.")], as_json: AsJson = False
) -> None:
    """Show for each table which rule decides for a contract, and why the others do not."""
    from sync_core.commands.desk import as_json as json_of
    from sync_core.reads.policy import explained
    from sync_core.reads.snapshot import snapshot

    one = work("policy")
    [number] = contracts_named(one, [contract])
    with snapshot(one.commands.desk.engine) as conn:
        found = explained(conn, number, one.commands.desk.estate)
    if not found:
        raise Refusal(f"The terms of {plain(contract)} were never sent: no rule can be asked.", Exit.REFUSED)
    if as_json:
        typer.echo(json_of(found).decode())
        return
    for each in found:
        about = f" for {each.about}" if each.about else ""
        by = f" (by “{plain(each.rule)}”)" if each.rule else ""
        typer.echo(f"\n{each.table.replace('_', ' ')}{about}: {plain(each.says)}{by}")
        if not each.considered:
            continue
        shown = table("rule", "of", "for", "decides", "", "why")
        for rule in each.considered:
            shown.add_row(
                text(rule.name), rule.source, text(rule.where), text(rule.says), rule.came.value, text(rule.why)
            )
        draw(shown)


@policy.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="A policy file; the one in use if left out.")] = None,
) -> None:
    """Say whether a policy file is right and fits the estate, and which version it would be. Needs no database."""
    from app.wiring import Wiring, text_of
    from sync_core.estate import estate as estates
    from sync_core.policy.table import TABLES

    wiring = Wiring(begin("policy"), "policy")
    ruled = estates.load(wiring.estate_text, text_of("the policy file", file)) if file else wiring.estate
    wiring.check_systems()
    own = ruled.policy
    counted = ", ".join(f"{name} {len(getattr(own, name))}" for name in TABLES if getattr(own, name)) or "no rules"
    typer.echo(f"the policy is right ({counted}); version {ruled.rules_version}")


@policy.command()
def diff(
    new: Toml,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Signed from this day on; the last quarter otherwise.")
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Back-test a policy file: what it would change for the contracts signed in the last quarter. Writes nothing."""
    from app.wiring import Wiring, text_of
    from sync_core.commands.desk import as_json as json_of
    from sync_core.estate import estate as estates
    from sync_core.reads.policy import compared
    from sync_core.reads.snapshot import snapshot

    wiring = Wiring(begin("policy"), "policy")
    after = estates.load(wiring.estate_text, text_of("the policy file", new))
    begin_at = since.replace(tzinfo=UTC) if since else None
    with snapshot(wiring.engine(pool_size=1)) as conn:
        wiring.govern(conn)
        found = compared(conn, wiring.estate, after, now=wiring.clock.now(), since=begin_at)
    if as_json:
        typer.echo(json_of(found).decode())
        return
    _draw(found, limit)


@policy.command()
def propose(file: Toml, reason: Reason, as_json: AsJson = False) -> None:
    """Bring a policy file into force: at once where it changes little, else when another person approves it."""
    from app.wiring import text_of

    one = work("policy")
    _say(one.commands.policies.propose(one.actor, text_of("the policy file", file), reason), as_json)


@policy.command()
def approve(proposal: Number, reason: Reason, as_json: AsJson = False) -> None:
    """Bring what somebody else proposed into force."""
    one = work("policy")
    _say(one.commands.policies.approve(one.actor, proposal, reason), as_json)


@policy.command()
def refuse(proposal: Number, reason: Reason, as_json: AsJson = False) -> None:
    """Refuse what somebody else proposed."""
    one = work("policy")
    _say(one.commands.policies.refuse(one.actor, proposal, reason), as_json)


@policy.command()
def withdraw(proposal: Number, reason: Reason, as_json: AsJson = False) -> None:
    """Take back what you proposed."""
    one = work("policy")
    _say(one.commands.policies.withdraw(one.actor, proposal, reason), as_json)


@policy.command()
def history(as_json: AsJson = False) -> None:
    """Show which policy was in force since when, and what waits for a decision."""
    from sync_core.commands.desk import as_json as json_of

    found = work("policy").reads.policies()
    if as_json:
        typer.echo(json_of(found).decode())
        return
    shown = table("version", "in force since", "by", "proposal", "because")
    for row in found.history:
        number = "" if row.proposal_id is None else str(row.proposal_id)
        shown.add_row(text(row.version), f"{row.activated_at:%Y-%m-%d %H:%M} UTC", text(row.activated_by), number,
                      text(row.reason or "the policy file of the worker that started"))  # fmt: skip
    draw(shown)
    if found.waiting is not None:
        one = found.waiting
        typer.echo(f"\nproposal {one.proposal_id} of {plain(one.proposed_by)} waits for another person: "
                   f"{plain(one.second_person)}")  # fmt: skip


def _say(made: "Proposed", as_json: bool) -> None:
    from sync_core.commands.desk import as_json as json_of

    if as_json:
        typer.echo(json_of(made).decode())
        return
    typer.echo(
        f"proposal {made.proposal_id}: {made.before} → {made.version}; {made.changed:,} of {made.tested:,} contracts "
        "that stand or were signed in the last quarter are decided on differently"
    )
    for effect, times in sorted(made.effects.items()):
        typer.echo(f"  {effect}: {times:,}")
    waits = f"it waits for another person, because {made.second_person}"
    typer.echo(waits if made.state == "proposed" else f"it was {made.state}" if made.state == "refused" else
               "it is in force; processes begin again under it within seconds")  # fmt: skip


def _draw(found: "BackTest", limit: int) -> None:
    effects = Counter(change.effect for one in found.differences for change in one.changes)
    typer.echo(
        f"{found.before} → {found.after}: {len(found.differences):,} of {found.contracts:,} contracts signed since "
        f"{found.since:%Y-%m-%d} would be decided on differently"
    )
    for effect, times in effects.most_common():
        typer.echo(f"  {effect.value}: {times:,}")
    if found.unreadable:
        typer.echo(f"  {found.unreadable:,} contracts have an event that cannot be read; nothing is said of them")
    shown = table("contract", "entity", "changes", "now", "then")
    rows = [(one, change) for one in found.differences for change in one.changes]
    for one, change in rows[:limit]:
        shown.add_row(
            text(one.external_id), text(one.legal_entity), change.effect.value, text(change.before or "-"),
            text(change.after or "-"),
        )  # fmt: skip
    if rows:
        draw(shown)
    if len(rows) > limit:
        typer.echo(f"{len(rows) - limit:,} more; use --limit or --json")

"""`tieline subscriber` and `tieline notify`: who is told what, how far they are, and whether they listen."""

import json
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from app.cli.begin import wiring_of
from app.cli.refusals import Exit, Refusal
from app.cli.table import draw, table
from app.cli.work import work

if TYPE_CHECKING:
    from sync_core.reads.deliveries import NoticeState, SubscriberState

subscriber = typer.Typer(
    help="Systems that get our events: list, pause, resume, send again, test.", no_args_is_help=True
)
notify = typer.Typer(help="Messages to people: list the rules, or try one.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="As in the estate file.")]
Reason = Annotated[str, typer.Option(help="Why; kept in the audit.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, for programs.")]
_TEST_S = 20.0


@subscriber.command(name="list")
def list_subscribers(as_json: AsJson = False) -> None:
    """Show all subscribers of the estate and what waits for them."""
    found = work("subscriber").reads.subscribers()
    if as_json:
        typer.echo(json.dumps([_shown(one) for one in found], indent=2))
        return
    drawn = table("subscriber", "behind", "oldest waits", "last delivered", "state")
    for one in found:
        delivered = f"{one.last_ok_at:%Y-%m-%d %H:%M}" if one.last_ok_at else "never"
        drawn.add_row(escape(one.name), f"{one.behind:,}", _age(one.lag), delivered, escape(_state(one)))
    draw(drawn)


@subscriber.command()
def pause(name: Name, reason: Reason) -> None:
    """Send nothing for now. What comes meanwhile waits, for ninety days."""
    one = work("subscriber")
    one.commands.subscribers.pause(one.actor, name, reason)
    typer.echo(f"subscriber {name} is paused; `tieline subscriber resume {name}` lets it go on")


@subscriber.command()
def resume(name: Name) -> None:
    """Go on at once where it stopped, also after failures."""
    one = work("subscriber")
    one.commands.subscribers.resume(one.actor, name)
    typer.echo(f"subscriber {name} goes on")


@subscriber.command()
def replay(
    name: Name,
    reason: Reason,
    since: Annotated[str | None, typer.Option(help="A moment, e.g. 2026-11-23T06:00:00Z.")] = None,
    seq: Annotated[int | None, typer.Option(help="The number of an event, its `sequence`.")] = None,
) -> None:
    """Send all events again from a moment or a number on; they keep their ids."""
    one = work("subscriber")
    done = one.commands.subscribers.replay_from(one.actor, name, reason, seq=seq, since=_moment(since))
    typer.echo(f"subscriber {name} gets its events again from number {done.from_seq} on")


@subscriber.command()
def test(name: Name) -> None:
    """Send a ping and wait for what becomes of it; a worker must run."""
    one = work("subscriber")
    queued = one.commands.subscribers.test(one.actor, name)
    deadline = time.monotonic() + _TEST_S
    while time.monotonic() < deadline:
        state = next(known for known in one.reads.subscribers() if known.name == name)
        if state.sent_seq is not None and state.sent_seq >= queued.seq:
            typer.echo(f"subscriber {name} took com.tieline.test.ping.v1")
            return
        if state.failures:
            raise Refusal(f"Subscriber {name} {state.last_error}; mend that and try again.", Exit.REFUSED)
        time.sleep(0.25)
    raise Refusal(
        f"The ping waits as event {queued.seq}, behind {state.behind - 1:,} others: is a worker running?", Exit.REFUSED
    )


@notify.command(name="list")
def list_rules(as_json: AsJson = False) -> None:
    """Show the notification rules and how their last sending went."""
    found = work("notify").reads.notices()
    if as_json:
        typer.echo(json.dumps([_rule(one) for one in found], indent=2))
        return
    drawn = table("rule", "on", "last sent", "state")
    for one in found:
        sent = f"{one.last_ok_at:%Y-%m-%d %H:%M}" if one.last_ok_at else "never"
        state = f"{one.failures} failures: {one.last_error}" if one.failures else "ok"
        drawn.add_row(escape(one.name), " ".join(one.on), sent, escape(state))
    draw(drawn)


@notify.command(name="test")
def test_rule(name: Name) -> None:
    """Send a short message from this machine through the rule's channel."""
    from sync_core.delivery.channel import NotSent
    from sync_core.delivery.wording import Text

    channel = wiring_of("notify").channels().get(name)
    if channel is None:
        raise Refusal(f"There is no rule {name!r}; [[notify]] in the estate file names them.", Exit.REFUSED)
    try:
        channel.send(Text("Tieline: a test", f"This is a test of the notification rule {name}. Nothing happened."))
    except NotSent as wrong:
        raise Refusal(f"Rule {name} could not send: {wrong.words}", Exit.REFUSED) from wrong
    typer.echo(f"rule {name} sent its message")


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError as wrong:
        raise typer.BadParameter(f"{text!r} is no moment; e.g. 2026-11-23T06:00:00Z", param_hint="--since") from wrong


def _state(one: "SubscriberState") -> str:
    if one.paused_at is not None:
        return f"paused by {one.paused_by}: {one.pause_reason}"
    if one.failures:
        return f"{one.failures} failures, it {one.last_error}; next try {one.next_at:%H:%M:%S}"
    return "ok"


def _age(lag: timedelta | None) -> str:
    return "" if lag is None else str(timedelta(seconds=int(lag.total_seconds())))


def _shown(one: "SubscriberState") -> dict[str, object]:
    return {
        "name": one.name,
        "url": one.url,
        "types": one.types,
        "entities": one.entities,
        "sent_seq": one.sent_seq,
        "head": one.head,
        "behind": one.behind,
        "lag_s": None if one.lag is None else one.lag.total_seconds(),
        "failures": one.failures,
        "next_at": _iso(one.next_at),
        "last_error": one.last_error,
        "last_ok_at": _iso(one.last_ok_at),
        "paused_by": one.paused_by,
        "paused_at": _iso(one.paused_at),
        "pause_reason": one.pause_reason,
    }


def _rule(one: "NoticeState") -> dict[str, object]:
    return {
        "name": one.name,
        "on": one.on,
        "failures": one.failures,
        "last_error": one.last_error,
        "last_ok_at": _iso(one.last_ok_at),
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()

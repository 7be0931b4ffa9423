"""`tieline client` and `tieline session`: programs that may call the API, and people who are signed in."""

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.cli_actor import operator_of_this_machine
from app.cli_begin import wiring_of
from sync_core.authority import Permission

if TYPE_CHECKING:
    from sync_core.commands.access import ClientSecret
    from sync_core.commands.commands import Commands
    from sync_core.reads.access import ApiClient, OpenSession
    from sync_core.reads.reads import Reads

client = typer.Typer(help="Programs that may call the API: make, list, rotate, revoke, disable.", no_args_is_help=True)
session = typer.Typer(help="People who are signed in: list them, or sign somebody out.", no_args_is_help=True)

ClientId = Annotated[str, typer.Argument(help="The client's name.")]
Reason = Annotated[str, typer.Option(help="Why; kept in the audit.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, for programs.")]


@client.command()
def create(
    client_id: Annotated[str, typer.Argument(help="A name: a-z, 0-9 and '-'. It stands in the audit.")],
    scope: Annotated[list[str], typer.Option(help="What it may do, e.g. contracts:read. Repeat for more.")],
    entity: Annotated[
        list[str] | None, typer.Option(help="A legal entity within its reach. Repeat for more; none at all: every one.")
    ] = None,
    description: Annotated[str, typer.Option(help="What it is and whose, for those who find it later.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make a client and show its secret, once."""
    made = _commands("client").access.create_client(
        operator_of_this_machine(),
        client_id,
        scopes=[_permission(one) for one in scope],
        entities=frozenset(entity) if entity else None,
        description=description,
    )
    _show(made, as_json)


@client.command(name="list")
def list_clients(as_json: AsJson = False) -> None:
    """Show all clients, what they may do, and which secrets are valid."""
    found = _reads("client").clients()
    if as_json:
        typer.echo(json.dumps([_client(one) for one in found], indent=2))
        return
    table = Table("client", "scopes", "legal entities", "valid secrets (last used)", "state", box=None, pad_edge=False)
    for one in found:
        table.add_row(
            escape(one.client_id),
            " ".join(one.scopes),
            "every" if one.entities is None else " ".join(one.entities),
            ", ".join(f"{s.secret_id} ({s.last_used_at:%Y-%m-%d})" if s.last_used_at else f"{s.secret_id} (never)"
                      for s in one.secrets),
            "disabled" if one.disabled_at else "",
        )  # fmt: skip
    Console().print(table)


@client.command()
def rotate(client_id: ClientId, as_json: AsJson = False) -> None:
    """Make a second secret and show it, once. The first works until you revoke it."""
    _show(_commands("client").access.rotate_secret(operator_of_this_machine(), client_id), as_json)


@client.command()
def revoke(
    client_id: ClientId,
    secret_id: Annotated[int, typer.Argument(help="The secret's number, as `tieline client list` shows it.")],
    reason: Reason,
) -> None:
    """Take one secret back. Tokens that were got with it are refused from now on."""
    _commands("client").access.revoke_secret(operator_of_this_machine(), client_id, secret_id, reason=reason)
    typer.echo(f"secret {secret_id} of {client_id} and its tokens are refused from now on")


@client.command()
def disable(client_id: ClientId, reason: Reason) -> None:
    """Disable a client for good. All its tokens are refused from now on."""
    _commands("client").access.disable_client(operator_of_this_machine(), client_id, reason=reason)
    typer.echo(f"client {client_id} and its tokens are refused from now on")


@session.command(name="list")
def list_sessions(as_json: AsJson = False) -> None:
    """Show who is signed in, since when, and with which roles."""
    found = _reads("session").sessions()
    if as_json:
        typer.echo(json.dumps([_session(one) for one in found], indent=2))
        return
    table = Table("person", "roles", "signed in", "last seen", "ends", box=None, pad_edge=False)
    for one in found:
        times = (f"{at:%Y-%m-%d %H:%M}" for at in (one.created_at, one.last_seen_at, one.expires_at))
        table.add_row(escape(one.email), escape(" ".join(one.grants)), *times)
    Console().print(table)


@session.command()
def end(email: Annotated[str, typer.Argument(help="Whom to sign out everywhere.")], reason: Reason) -> None:
    """Sign a person out everywhere; open pages close within two seconds."""
    ended = _commands("session").access.end_sessions(operator_of_this_machine(), email, reason=reason)
    typer.echo(f"{ended.ended} sessions of {ended.email} have ended")


def _permission(text: str) -> Permission:
    try:
        return Permission(text)
    except ValueError as wrong:
        known = ", ".join(Permission)
        raise typer.BadParameter(f"{text!r} is no scope; there are {known}", param_hint="--scope") from wrong


def _commands(part: str) -> "Commands":
    from sync_core.commands.commands import Commands

    wiring = wiring_of(part)
    return Commands(wiring.engine(pool_size=1), clock=wiring.clock, estate=wiring.estate)


def _reads(part: str) -> "Reads":
    from sync_core.reads.reads import Reads

    wiring = wiring_of(part)
    return Reads(wiring.engine(pool_size=1), clock=wiring.clock, estate=wiring.estate)


def _show(made: "ClientSecret", as_json: bool) -> None:
    shown = {"client_id": made.client_id, "secret_id": made.secret_id, "client_secret": made.secret}
    if as_json:
        typer.echo(json.dumps(shown, indent=2))
        return
    typer.echo(f"client_id      {made.client_id}\nclient_secret  {made.secret}   (number {made.secret_id})")
    typer.echo("Keep the secret now: it is not shown again.", err=True)


def _client(one: "ApiClient") -> dict[str, object]:
    return {
        "client_id": one.client_id,
        "description": one.description,
        "scopes": one.scopes,
        "entities": one.entities,
        "created_by": one.created_by,
        "created_at": one.created_at.isoformat(),
        "disabled_at": one.disabled_at and one.disabled_at.isoformat(),
        "secrets": [
            {
                "secret_id": secret.secret_id,
                "created_at": secret.created_at.isoformat(),
                "last_used_at": secret.last_used_at and secret.last_used_at.isoformat(),
            }
            for secret in one.secrets
        ],
    }


def _session(one: "OpenSession") -> dict[str, object]:
    return {
        "email": one.email,
        "grants": one.grants,
        "issuer": one.issuer,
        "created_at": one.created_at.isoformat(),
        "last_seen_at": one.last_seen_at.isoformat(),
        "expires_at": one.expires_at.isoformat(),
    }

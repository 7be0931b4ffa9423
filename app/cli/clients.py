"""`tieline client` and `tieline session`: programs that may call the API, and people who are signed in."""

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from app.cli.table import draw, table
from app.cli.work import work
from sync_core.authority import Permission

if TYPE_CHECKING:
    from sync_core.commands.access import ClientSecret
    from sync_core.reads.access import ApiClient, OpenSession

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
    one = work("client")
    made = one.commands.access.create_client(
        one.actor,
        client_id,
        scopes=[_permission(name) for name in scope],
        entities=frozenset(entity) if entity else None,
        description=description,
    )
    _show(made, as_json)


@client.command(name="list")
def list_clients(as_json: AsJson = False) -> None:
    """Show all clients, what they may do, and which secrets are valid."""
    found = work("client").reads.clients()
    if as_json:
        typer.echo(json.dumps([_client(one) for one in found], indent=2))
        return
    drawn = table("client", "scopes", "legal entities", "valid secrets (last used)", "state")
    for one in found:
        drawn.add_row(
            escape(one.client_id),
            " ".join(one.scopes),
            "every" if one.entities is None else " ".join(one.entities),
            ", ".join(f"{s.secret_id} ({s.last_used_at:%Y-%m-%d})" if s.last_used_at else f"{s.secret_id} (never)"
                      for s in one.secrets),
            "disabled" if one.disabled_at else "",
        )  # fmt: skip
    draw(drawn)


@client.command()
def rotate(client_id: ClientId, as_json: AsJson = False) -> None:
    """Make a second secret and show it, once. The first works until you revoke it."""
    one = work("client")
    _show(one.commands.access.rotate_secret(one.actor, client_id), as_json)


@client.command()
def revoke(
    client_id: ClientId,
    secret_id: Annotated[int, typer.Argument(help="The secret's number, as `tieline client list` shows it.")],
    reason: Reason,
) -> None:
    """Take one secret back. Tokens that were got with it are refused from now on."""
    one = work("client")
    one.commands.access.revoke_secret(one.actor, client_id, secret_id, reason=reason)
    typer.echo(f"secret {secret_id} of {client_id} and its tokens are refused from now on")


@client.command()
def disable(client_id: ClientId, reason: Reason) -> None:
    """Disable a client for good. All its tokens are refused from now on."""
    one = work("client")
    one.commands.access.disable_client(one.actor, client_id, reason=reason)
    typer.echo(f"client {client_id} and its tokens are refused from now on")


@session.command(name="list")
def list_sessions(as_json: AsJson = False) -> None:
    """Show who is signed in, since when, and with which roles."""
    found = work("session").reads.sessions()
    if as_json:
        typer.echo(json.dumps([_session(one) for one in found], indent=2))
        return
    drawn = table("person", "roles", "signed in", "last seen", "ends")
    for one in found:
        times = (f"{at:%Y-%m-%d %H:%M}" for at in (one.created_at, one.last_seen_at, one.expires_at))
        drawn.add_row(escape(one.email), escape(" ".join(one.grants)), *times)
    draw(drawn)


@session.command()
def end(email: Annotated[str, typer.Argument(help="Whom to sign out everywhere.")], reason: Reason) -> None:
    """Sign a person out everywhere; open pages close within two seconds."""
    one = work("session")
    ended = one.commands.access.end_sessions(one.actor, email, reason=reason)
    typer.echo(f"{ended.ended} sessions of {ended.email} have ended")


def _permission(text: str) -> Permission:
    try:
        return Permission(text)
    except ValueError as wrong:
        known = ", ".join(Permission)
        raise typer.BadParameter(f"{text!r} is no scope; there are {known}", param_hint="--scope") from wrong


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

"""Who gets in: programs with secrets of their own, and the sessions of people.

A secret is 256 random bits that are shown once; the database keeps SHA-256 of it. A client has at most two valid
secrets, so that one can be replaced while the other still works. None of this is called through `Desk.run_once`: it
would keep the answer, secret included.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from sync_core.audit import audit
from sync_core.authority import Actor, ActorKind, Forbidden, Permission
from sync_core.commands.desk import Act, Changed, CommandRefused, Desk, InvalidInput, NotFound, reason_of

COMMANDS: Final[Mapping[str, Permission]] = {
    "create_client": Permission.ACCESS_WRITE,
    "rotate_secret": Permission.ACCESS_WRITE,
    "revoke_secret": Permission.ACCESS_WRITE,
    "disable_client": Permission.ACCESS_WRITE,
    "end_sessions": Permission.ACCESS_WRITE,
}

MOST_SECRETS: Final = 2
SECRET_PREFIX: Final = "tls_"  # noqa: S105 - tells a secret scanner, and our own log filter, what it looks at
_CLIENT_ID = re.compile(r"[a-z0-9][a-z0-9-]{1,38}[a-z0-9]")
_MOST_DESCRIPTION = 200

_INSERT_CLIENT = sa.text("""
    INSERT INTO core.api_client (client_id, description, scopes, entities, created_by, created_at)
    VALUES (:client_id, :description, CAST(:scopes AS text[]), CAST(:entities AS text[]), :created_by, :now)
    ON CONFLICT (client_id) DO NOTHING
""")
# Two rotations at once must not make three secrets: the client's row lets one pass after the other.
_LOCK_CLIENT = sa.text("""
    SELECT client_id, scopes, entities, disabled_at, version FROM core.api_client
    WHERE client_id = :client_id FOR UPDATE
""")
_RAISE_VERSION = sa.text("UPDATE core.api_client SET version = version + 1 WHERE client_id = :client_id")
_DISABLE_CLIENT = sa.text("UPDATE core.api_client SET disabled_at = :now WHERE client_id = :client_id")
_VALID_SECRETS = sa.text("""
    SELECT count(*) FROM core.api_client_secret WHERE client_id = :client_id AND revoked_at IS NULL
""")
_INSERT_SECRET = sa.text("""
    INSERT INTO core.api_client_secret (client_id, secret_hash, created_at) VALUES (:client_id, :secret_hash, :now)
    RETURNING secret_id
""")
_REVOKE_SECRET = sa.text("""
    UPDATE core.api_client_secret SET revoked_at = :now
    WHERE client_id = :client_id AND secret_id = :secret_id AND revoked_at IS NULL
""")
# The provider's id token has no more use once the session is over.
_END_SESSIONS = sa.text("""
    UPDATE core.session SET revoked_at = :now, id_token = NULL
    WHERE email = :email AND revoked_at IS NULL AND expires_at > :now RETURNING session_id
""")


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """A new secret: the only time that it can be read."""

    client_id: str
    secret_id: int
    secret: str


@dataclass(frozen=True, slots=True)
class ClientChanged:
    """A client after a change; tokens that it no longer has a right to are refused from now on."""

    client_id: str


@dataclass(frozen=True, slots=True)
class SessionsEnded:
    """Open pages of the person are gone within two seconds."""

    email: str
    ended: int


class Access:
    """Commands of administrators. Each raises Forbidden, and NotFound for a client beyond the actor's reach."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def create_client(
        self,
        actor: Actor,
        client_id: str,
        *,
        scopes: Sequence[Permission],
        entities: frozenset[str] | None,
        description: str = "",
    ) -> ClientSecret:
        """`entities` None: all. Nobody gives a program more than they reach. Raises InvalidInput, CommandRefused."""
        return self._desk.run(
            actor,
            Permission.ACCESS_WRITE,
            lambda act: create_client(act, client_id, scopes=scopes, entities=entities, description=description),
        )

    def rotate_secret(self, actor: Actor, client_id: str) -> ClientSecret:
        """A second secret beside the first, which works until it is revoked. Raises CommandRefused with two already.

        A program may not have it of a client with scopes that it lacks itself.
        """
        return self._desk.run(actor, Permission.ACCESS_WRITE, lambda act: rotate_secret(act, client_id))

    def revoke_secret(self, actor: Actor, client_id: str, secret_id: int, *, reason: str) -> ClientChanged:
        """The secret and every token got with it are refused at once. Raises NotFound."""
        return self._desk.run(
            actor, Permission.ACCESS_WRITE, lambda act: revoke_secret(act, client_id, secret_id, reason=reason)
        )

    def disable_client(self, actor: Actor, client_id: str, *, reason: str, version: int | None = None) -> ClientChanged:
        """For good; all its tokens are refused at once. Raises NotFound, Changed."""
        return self._desk.run(
            actor, Permission.ACCESS_WRITE, lambda act: disable_client(act, client_id, reason=reason, version=version)
        )

    def end_sessions(self, actor: Actor, email: str, *, reason: str) -> SessionsEnded:
        """Sign a person out everywhere (leaver, lost laptop). Their role is the identity provider's matter."""
        return self._desk.run(actor, Permission.ACCESS_WRITE, lambda act: end_sessions(act, email, reason=reason))


def create_client(
    act: Act, client_id: str, *, scopes: Sequence[Permission], entities: frozenset[str] | None, description: str
) -> ClientSecret:
    _check_client(act, client_id, scopes, entities, description)
    given = sorted(set(scopes))
    values = {"client_id": client_id, "description": description.strip(), "scopes": given, "created_by": act.actor.name}
    reach = None if entities is None else sorted(entities)
    if not act.conn.execute(_INSERT_CLIENT, values | {"entities": reach, "now": act.now}).rowcount:
        raise CommandRefused(f"there is a client {client_id} already; rotate its secret, or choose another name")
    made = _new_secret(act, client_id)
    detail = {"scopes": given, "entities": reach, "description": description.strip(), "secret_id": made.secret_id}
    act.note(audit.Entry("client.create", f"client {client_id}", detail=detail))
    return made


def rotate_secret(act: Act, client_id: str) -> ClientSecret:
    found = _locked(act, client_id)
    _require_reach(act, found.scopes, found.entities)  # whoever has its new secret is as good as the client
    if found.disabled_at is not None:
        raise CommandRefused(f"client {client_id} is disabled; create another one")
    if act.conn.scalar(_VALID_SECRETS, {"client_id": client_id}) >= MOST_SECRETS:
        raise CommandRefused(f"client {client_id} has {MOST_SECRETS} valid secrets; revoke the older one first")
    made = _new_secret(act, client_id)
    act.conn.execute(_RAISE_VERSION, {"client_id": client_id})
    act.note(audit.Entry("client.rotate", f"client {client_id}", detail={"secret_id": made.secret_id}))
    return made


def revoke_secret(act: Act, client_id: str, secret_id: int, *, reason: str) -> ClientChanged:
    _locked(act, client_id)
    values = {"client_id": client_id, "secret_id": secret_id, "now": act.now}
    if not act.conn.execute(_REVOKE_SECRET, values).rowcount:
        raise NotFound(f"client {client_id} has no valid secret {secret_id}; list the clients to see which it has")
    act.conn.execute(_RAISE_VERSION, {"client_id": client_id})
    entry = audit.Entry("client.revoke", f"client {client_id}", reason_of(reason), detail={"secret_id": secret_id})
    act.note(entry)
    return ClientChanged(client_id)


def disable_client(act: Act, client_id: str, *, reason: str, version: int | None) -> ClientChanged:
    found = _locked(act, client_id)
    if version is not None and version != found.version:
        raise Changed(f"client {client_id} was changed since you read it; read it again, then decide")
    if found.disabled_at is not None:
        raise CommandRefused(f"client {client_id} is disabled already")
    act.conn.execute(_DISABLE_CLIENT, {"client_id": client_id, "now": act.now})
    act.conn.execute(_RAISE_VERSION, {"client_id": client_id})
    act.note(audit.Entry("client.disable", f"client {client_id}", reason_of(reason)))
    return ClientChanged(client_id)


def end_sessions(act: Act, email: str, *, reason: str) -> SessionsEnded:
    if act.actor.entities(Permission.ACCESS_WRITE) is not None:
        # A session has no legal entity, so a limited administrator's reach cannot be told from another's.
        raise Forbidden(
            Permission.ACCESS_WRITE, "sessions are ended by an administrator of every legal entity; ask one"
        )
    person = email.strip().lower()
    ended = act.conn.execute(_END_SESSIONS, {"email": person, "now": act.now}).all()
    detail = {"sessions": sorted(int(row.session_id) for row in ended)}
    act.note(audit.Entry("session.end", f"person {person[:200]}", reason_of(reason), detail=detail))
    return SessionsEnded(person, len(ended))


def secret_hash(secret: str) -> bytes:
    """What the database keeps of secrets, tokens, links and cookies.

    All have 256 random bits, so a slow hash would add nothing.
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def _new_secret(act: Act, client_id: str) -> ClientSecret:
    secret = f"{SECRET_PREFIX}{secrets.token_urlsafe(32)}"
    values = {"client_id": client_id, "secret_hash": secret_hash(secret), "now": act.now}
    return ClientSecret(client_id, int(act.conn.execute(_INSERT_SECRET, values).scalar_one()), secret)


def _locked(act: Act, client_id: str) -> sa.Row[tuple[object, ...]]:
    found = act.conn.execute(_LOCK_CLIENT, {"client_id": client_id}).one_or_none()
    if found is None or not _within(act.actor, found.entities):
        raise NotFound(f"there is no client {client_id[:60]!r}; list the clients to see which there are")
    return found


def _require_reach(act: Act, scopes: Sequence[str], entities: Sequence[str] | frozenset[str] | None) -> None:
    """People give any scope, which is an administrator's work; a program none that it lacks itself."""
    beyond = act.actor.kind is ActorKind.PROGRAM and not act.actor.scopes.keys() >= set(scopes)
    if not _within(act.actor, entities) or beyond:
        raise Forbidden(Permission.ACCESS_WRITE, "a client cannot reach further than whoever makes it; limit it so")


def _within(actor: Actor, entities: Sequence[str] | frozenset[str] | None) -> bool:
    reach = actor.entities(Permission.ACCESS_WRITE)
    return reach is None or (entities is not None and reach.issuperset(entities))


def _check_client(
    act: Act, client_id: str, scopes: Sequence[Permission], entities: frozenset[str] | None, description: str
) -> None:
    if not _CLIENT_ID.fullmatch(client_id):
        raise InvalidInput("a client's name has 3 to 40 characters: a-z, 0-9 and '-' between")
    if not scopes:
        raise InvalidInput("a client needs at least one scope")
    if entities is not None and not entities:
        raise InvalidInput("no legal entity was given; name some, or none at all for every one")
    unknown = sorted((entities or frozenset()) - act.estate.entities.keys())
    if unknown:
        raise InvalidInput(f"{', '.join(unknown)[:200]} is no legal entity of the estate")
    if len(description) > _MOST_DESCRIPTION:
        raise InvalidInput(f"the description is longer than {_MOST_DESCRIPTION} characters; shorten it")
    _require_reach(act, scopes, entities)

"""Who may do what, and where: roles for people, scopes for programs, one table for pages, commands and the API.

A grant is a role with its reach: a business function (operators) and a set of legal entities. Written as text it is
`operator:tax@MA-UK+MA-DE`; without `@` it reaches every entity. Pages hide by this table, commands refuse by it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Final

from sync_core.errors import Function, TielineError


class Role(StrEnum):
    """What a person is to Tieline. An operator is one of a business function."""

    EXECUTIVE = "executive"
    OPERATOR = "operator"
    APPROVER = "approver"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"


class Permission(StrEnum):
    """One thing that can be allowed; the value is the OAuth2 scope of programs."""

    EVENTS_WRITE = "events:write"
    CONTRACTS_READ = "contracts:read"
    VALIDATIONS_WRITE = "validations:write"  # ask whether terms would be provisioned; nothing is kept of them
    EXCEPTIONS_READ = "exceptions:read"
    EXCEPTIONS_WRITE = "exceptions:write"  # assign, acknowledge, hand over, comment, save filters
    EXCEPTIONS_DECIDE = "exceptions:decide"  # close by decision
    CORRECTIONS_WRITE = "corrections:write"
    APPROVALS_DECIDE = "approvals:decide"
    REPLAY_READ = "replay:read"
    REPLAY_PREVIEW = "replay:preview"
    REPLAY_EXECUTE = "replay:execute"
    REPLAY_APPROVE = "replay:approve"
    ADOPTION_WRITE = "adoption:write"  # decide which project of an ERP is whose
    QUARANTINE_WRITE = "quarantine:write"  # release, dismiss
    AUDIT_READ = "audit:read"
    EVIDENCE_READ = "evidence:read"
    HOLDS_WRITE = "holds:write"
    KPI_READ = "kpi:read"
    SNAPSHOT_READ = "snapshot:read"
    SNAPSHOT_WRITE = "snapshot:write"  # make one now
    FINANCE_WRITE = "finance:write"  # exchange rates, disputes, baseline, assumptions
    SCHEDULES_WRITE = "schedules:write"  # run now, pause
    SUBSCRIBERS_WRITE = "subscribers:write"
    POLICY_WRITE = "policy:write"  # propose one, withdraw it
    POLICY_APPROVE = "policy:approve"
    SCHEMAS_WRITE = "schemas:write"  # register versions of events, acknowledge new fields
    ACCESS_WRITE = "access:write"  # API clients, sessions of others


class Forbidden(TielineError):
    """The actor lacks a permission here; the message says which role has it and whom to ask."""

    code = "authority.forbidden"

    def __init__(self, permission: str, message: str) -> None:
        super().__init__(message)
        self.permission = permission

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.permission, self.message)


class InvalidGrant(TielineError):
    """A grant that is no `role[:function][@entity+entity]`; correct it where roles are mapped."""

    code = "authority.invalid_grant"


_P = Permission
_READ = frozenset(
    {
        _P.CONTRACTS_READ,
        _P.VALIDATIONS_WRITE,
        _P.EXCEPTIONS_READ,
        _P.REPLAY_READ,
        _P.KPI_READ,
        _P.SNAPSHOT_READ,
    }
)
PERMISSIONS: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.EXECUTIVE: _READ,
    Role.OPERATOR: _READ
    | {
        _P.EXCEPTIONS_WRITE,
        _P.EXCEPTIONS_DECIDE,
        _P.CORRECTIONS_WRITE,
        _P.REPLAY_PREVIEW,
        _P.REPLAY_EXECUTE,
        _P.ADOPTION_WRITE,
        _P.SNAPSHOT_WRITE,
        _P.FINANCE_WRITE,
    },
    Role.APPROVER: _READ | {_P.APPROVALS_DECIDE, _P.REPLAY_APPROVE, _P.POLICY_APPROVE, _P.EXCEPTIONS_WRITE},
    Role.ADMINISTRATOR: _READ
    | {
        _P.QUARANTINE_WRITE,
        _P.SUBSCRIBERS_WRITE,
        _P.SCHEMAS_WRITE,
        _P.POLICY_WRITE,
        _P.ACCESS_WRITE,
        _P.HOLDS_WRITE,
        _P.EXCEPTIONS_WRITE,
        _P.SNAPSHOT_WRITE,
        _P.FINANCE_WRITE,
        _P.SCHEDULES_WRITE,
        _P.EVENTS_WRITE,
    },
    Role.AUDITOR: _READ | {_P.AUDIT_READ, _P.EVIDENCE_READ},
}
# Where the function that has an exception counts besides the permission; how much: sync_core/cases/rules.py.
BY_FUNCTION: Final = frozenset({_P.CORRECTIONS_WRITE, _P.EXCEPTIONS_DECIDE, _P.EXCEPTIONS_WRITE})

_ENTITY = re.compile(r"[A-Za-z0-9._-]{1,40}")


@dataclass(frozen=True, slots=True)
class Grant:
    """A role where it holds. None: everywhere."""

    role: Role
    function: Function | None = None  # of an operator; None: of every function
    entities: frozenset[str] | None = None

    def __str__(self) -> str:
        function = f":{self.function}" if self.function else ""
        return f"{self.role}{function}" + ("" if self.entities is None else f"@{'+'.join(sorted(self.entities))}")

    @classmethod
    def parse(cls, text: str) -> "Grant":
        """The inverse of `str`. Raises InvalidGrant."""
        head, at, reach = text.partition("@")
        role, colon, function = head.partition(":")
        entities = reach.split("+") if at else []
        try:
            known = cls(Role(role), Function(function) if colon else None, frozenset(entities) if at else None)
        except ValueError as wrong:
            raise InvalidGrant(f"{text[:80]!r} is no role of ours; use e.g. operator:tax@UK01+DE01") from wrong
        if not all(_ENTITY.fullmatch(entity) for entity in entities):
            raise InvalidGrant(f"{text[:80]!r}: a legal entity's code has letters, digits, '.', '_' and '-'")
        if colon and known.role is not Role.OPERATOR:
            raise InvalidGrant(f"{text[:80]!r}: only an operator belongs to a business function")
        return known


class ActorKind(StrEnum):
    PERSON = "person"
    PROGRAM = "program"
    SYSTEM = "system"  # Tieline itself: never through an API


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a permission holds. None: everywhere; an empty set: nowhere."""

    entities: frozenset[str] | None
    functions: frozenset[Function] | None

    def covers(self, entity: str | None, function: str | None) -> bool:
        return (self.entities is None or entity is None or entity in self.entities) and (
            self.functions is None or function is None or function in self.functions
        )


@dataclass(frozen=True)
class Actor:
    """Who does something: a person by e-mail with grants, or a program by client id with scopes."""

    name: str
    kind: ActorKind = ActorKind.PERSON
    grants: tuple[Grant, ...] = ()
    scopes: Mapping[Permission, Reach] = field(default_factory=dict)  # of a program

    @cached_property
    def reaches(self) -> Mapping[Permission, tuple[Reach, ...]]:
        if self.kind is not ActorKind.PERSON:
            return {permission: (reach,) for permission, reach in self.scopes.items()}
        found: dict[Permission, list[Reach]] = {}
        for grant in self.grants:
            functions = frozenset({grant.function}) if grant.function else None
            for permission in PERMISSIONS[grant.role]:
                found.setdefault(permission, []).append(
                    Reach(grant.entities, functions if permission in BY_FUNCTION else None)
                )
        return {permission: tuple(reaches) for permission, reaches in found.items()}

    @property
    def roles(self) -> str:
        """As the audit keeps it."""
        given = [str(grant) for grant in self.grants] or sorted(self.scopes)
        return " ".join(given)

    def may(self, permission: Permission, *, entity: str | None = None, function: str | None = None) -> bool:
        """Without entity and function: anywhere at all. An entity "" (not known yet) needs an unlimited reach."""
        return any(reach.covers(entity, function) for reach in self.reaches.get(permission, ()))

    def entities(self, permission: Permission) -> frozenset[str] | None:
        """The legal entities within reach; None: all; empty: none."""
        reaches = self.reaches.get(permission, ())
        limited = [reach.entities for reach in reaches if reach.entities is not None]
        return None if len(limited) < len(reaches) else frozenset().union(*limited)

    def require(self, permission: Permission, *, entity: str | None = None, function: str | None = None) -> None:
        """Raises Forbidden that says who may."""
        if self.may(permission, entity=entity, function=function):
            return
        where = "".join(f" for {what}" for what in (entity, function) if what)
        having = " or ".join(role for role in Role if permission in PERMISSIONS[role]) or "a program with this scope"
        raise Forbidden(permission, f"{permission}{where} is not yours; {having} may, ask your administrator")


def parse_grants(texts: Iterable[str]) -> tuple[Grant, ...]:
    """Raises InvalidGrant."""
    return tuple(Grant.parse(text) for text in texts)


def person(email: str, grants: Iterable[str]) -> Actor:
    """Raises InvalidGrant."""
    return Actor(email, ActorKind.PERSON, parse_grants(grants))


def program(client_id: str, scopes: Iterable[str], *, entities: frozenset[str] | None = None) -> Actor:
    """`scopes` that we do not know are ignored, as OAuth2 asks."""
    known = {p.value: p for p in Permission}
    reach = Reach(entities, None)
    return Actor(client_id, ActorKind.PROGRAM, scopes={known[s]: reach for s in scopes if s in known})


SYSTEM: Final = Actor("tieline", ActorKind.SYSTEM, scopes={permission: Reach(None, None) for permission in Permission})

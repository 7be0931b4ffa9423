"""Who vouches for people and programs: the `[identity]` table of the estate file, and what a claim grants.

People sign in at `issuer` by OpenID Connect; programs bring tokens of an `api_issuer`, or of Tieline's own token
endpoint. A claim value that no `grant` names gives nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import ConfigDict

from sync_core.authority import Grant, InvalidGrant, Role
from sync_core.errors import Function, InvalidEstate

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# A misspelt key would quietly leave a door as it was.
_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class GrantRule:
    """Whoever has this value in the roles claim gets this role; several values add up."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    value: str
    role: Role
    function: Function | None = None
    entities: tuple[str, ...] | None = None  # None: every legal entity

    @property
    def grant(self) -> Grant:
        return Grant(self.role, self.function, None if self.entities is None else frozenset(self.entities))


@dataclass(frozen=True)
class ApiIssuer:
    """Whose signed tokens the API takes from programs."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    issuer: str
    audience: str
    jwks_url: str | None = None  # None: as the issuer's discovery document says
    scope_claim: str = "scope"
    entities_claim: str | None = None  # None: its programs reach every legal entity; else those of the claim alone


@dataclass(frozen=True)
class Identity:
    """Without an issuer people cannot sign in by OpenID Connect, and one-time links are what opens the dashboard."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    issuer: str | None = None
    client_id: str | None = None
    client_secret_env: str | None = None  # None: a public client, which PKCE alone protects
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    roles_claim: str = "roles"  # a dotted path, such as realm_access.roles
    email_claim: str = "email"
    session_hours: int = 12
    idle_minutes: int = 60
    contact: str = "whoever runs Tieline"  # whom a person without a role is told to ask
    grant: tuple[GrantRule, ...] = ()
    api_issuer: tuple[ApiIssuer, ...] = ()

    @property
    def signs_people_in(self) -> bool:
        return self.issuer is not None

    @property
    def session_valid_for(self) -> timedelta:
        return timedelta(hours=self.session_hours)

    @property
    def idle_after(self) -> timedelta:
        return timedelta(minutes=self.idle_minutes)

    def grants_of(self, claims: Mapping[str, object]) -> tuple[Grant, ...]:
        """What the roles claim gives, in the order of the estate file, each once."""
        held = frozenset(texts_of(claim(claims, self.roles_claim)))
        return tuple(dict.fromkeys(rule.grant for rule in self.grant if rule.value in held))


def claim(claims: Mapping[str, object], path: str) -> object:
    """A claim by its name, else by its dotted path; None when there is none.

    The name first: some providers name claims by URLs, which have dots.
    """
    if path in claims:
        return claims[path]
    found: object = claims
    for step in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(step)
    return found


def texts_of(value: object) -> tuple[str, ...]:
    """A claim that is a list of texts, or one text with spaces between; anything else is nothing."""
    if isinstance(value, str):
        return tuple(value.split())
    if isinstance(value, list):
        return tuple(one for one in value if isinstance(one, str))
    return ()


def is_safe_url(url: str) -> bool:
    """https, or http to this very machine (tests and trials)."""
    parts = urlsplit(url)
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK))


def check(identity: Identity, entities: Iterable[str]) -> None:
    """Raises InvalidEstate that names the key and what to put there."""
    _check_sign_in(identity)
    known = frozenset(entities)
    for rule in identity.grant:
        _check_rule(rule, known)
    for api in identity.api_issuer:
        _check_api_issuer(api, identity)
    issuers = [api.issuer for api in identity.api_issuer]
    if len(set(issuers)) < len(issuers):
        raise InvalidEstate("identity.api_issuer: an issuer is given twice; one table each")


def _check_sign_in(identity: Identity) -> None:
    if (identity.issuer is None) != (identity.client_id is None):
        raise InvalidEstate("identity: issuer and client_id belong together; give both, or neither")
    if identity.issuer is not None:
        _check_url("identity.issuer", identity.issuer)
        if "openid" not in identity.scopes:
            raise InvalidEstate("identity.scopes: must hold 'openid', or the provider sends no id token")
        if not identity.grant:
            raise InvalidEstate("identity.grant: nobody would have a role; map at least one claim value to a role")
    if not 1 <= identity.session_hours <= 24 * 7 or not 1 <= identity.idle_minutes <= 24 * 60:
        raise InvalidEstate("identity: session_hours must be 1 to 168 and idle_minutes 1 to 1440")


def _check_rule(rule: GrantRule, known: frozenset[str]) -> None:
    if rule.function is not None and rule.role is not Role.OPERATOR:
        raise InvalidEstate(f"identity.grant {rule.value!r}: only an operator has a function; leave it out")
    if rule.entities is not None and not rule.entities:
        raise InvalidEstate(f"identity.grant {rule.value!r}: entities is empty; name some, or leave it out for all")
    try:
        Grant.parse(str(rule.grant))
    except InvalidGrant as wrong:
        raise InvalidEstate(f"identity.grant {rule.value!r}: {wrong.message}") from wrong
    unknown = sorted(frozenset(rule.entities or ()) - known)
    if unknown:
        raise InvalidEstate(f"identity.grant {rule.value!r}: {', '.join(unknown)} is not in [[entity]]; add it there")


def _check_api_issuer(api: ApiIssuer, identity: Identity) -> None:
    _check_url("identity.api_issuer.issuer", api.issuer)
    if api.jwks_url is not None:
        _check_url("identity.api_issuer.jwks_url", api.jwks_url)
    if api.issuer == identity.issuer and api.audience == identity.client_id:
        # Else the id token of any person would be taken for a program's token.
        raise InvalidEstate(f"identity.api_issuer {api.issuer}: audience must differ from the dashboard's client_id")


def _check_url(key: str, url: str) -> None:
    if not is_safe_url(url):
        raise InvalidEstate(f"{key}: {url!r} must begin with https:// (http:// only for this very machine)")

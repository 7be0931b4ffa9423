"""Tokens that others signed (JWT): their issuer's keys, the signature, and the times in them.

Only asymmetric algorithms of the list below are taken: `none`, HMAC with a public key as its secret, and whatever else
a token's own header proposes, are refused before any key is looked at.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Generic, TypeVar

import httpx
import orjson
from joserfc import jwk, jws, jwt
from joserfc._rfc7515.model import JWSAlgModel
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from sync_core.clock import Clock
from sync_core.errors import ErrorClass, TielineError

ALGORITHMS: Final = ("RS256", "ES256", "PS256", "EdDSA")
LEEWAY: Final = timedelta(seconds=60)  # how far clocks may differ
# For a key that is unknown: a made-up one must not make us ask each time.
_ASK_AGAIN_AFTER: Final = timedelta(minutes=1)
_ASK_THE_SILENT_AFTER: Final = timedelta(seconds=5)
_WAIT_S: Final = 2.0  # for a first answer that another thread waits for
_GOOD_FOR: Final = timedelta(hours=1)  # then a key that was taken back is forgotten
_MOST_BYTES: Final = 16_384
_KEY_TYPES: Final = frozenset({"RSA", "EC", "OKP"})

_log = logging.getLogger(__name__)

T = TypeVar("T")
Key = jwk.RSAKey | jwk.ECKey | jwk.OKPKey
Claims = Mapping[str, object]


class InvalidToken(Exception):
    """A token that is not good. The message says why, holds nothing of the token, and may be shown to its bearer."""


class IssuerUnavailable(TielineError):
    """The identity provider does not answer, or not as the standard says; try again, then ask whoever runs it."""

    code = "identity.issuer_unavailable"
    error_class = ErrorClass.TRANSIENT


class _Registry(JWSRegistry):
    # Providers put certificates' fingerprints and more into the header; unknown parameters are to be ignored.
    max_header_length = 4_096

    def get_alg(self, name: str) -> JWSAlgModel:
        # Without the library's warning that "EdDSA" got the new name Ed25519: providers still write the old one.
        if name not in ALGORITHMS:
            raise InvalidToken("the token is signed by an algorithm that is not allowed here")
        return self.algorithms[name]


_REGISTRY: Final = _Registry(algorithms=ALGORITHMS, strict_check_header=False)


@dataclass(frozen=True, slots=True)
class Verified:
    """A token whose signature is its issuer's; nothing is said of its claims yet."""

    header: Mapping[str, object]
    claims: Claims


class Published(Generic[T]):
    """What an issuer publishes, fetched when it is needed. Safe for many threads.

    One thread fetches; the others go on with what is known, which is used on while the issuer is down. One that never
    answered is asked every few seconds at most: whoever names it in a made-up token must not occupy all our threads.
    """

    def __init__(self, fetch: Callable[[], T], clock: Clock) -> None:
        self._fetch, self._clock = fetch, clock
        self._lock = threading.Lock()
        self._known: T | None = None
        self._fetched_at: datetime | None = None
        self._asked_at: datetime | None = None
        self._why = "an issuer is being asked for the first time and has not answered yet"

    def get(self) -> T:
        """An hour old at most, unless the issuer is down. Raises IssuerUnavailable."""
        known, fetched_at = self._known, self._fetched_at
        fresh = fetched_at is not None and self._clock.now() - fetched_at < _GOOD_FOR
        return known if fresh and known is not None else self.renewed()

    def renewed(self) -> T:
        """Fetched anew, unless that was tried a moment ago. Raises IssuerUnavailable."""
        if self._lock.acquire(timeout=_WAIT_S if self._known is None else 0):
            try:
                if self._may_ask():
                    self._ask()
            finally:
                self._lock.release()
        if self._known is None:
            raise IssuerUnavailable(self._why)
        return self._known

    def _may_ask(self) -> bool:
        again = _ASK_THE_SILENT_AFTER if self._known is None else _ASK_AGAIN_AFTER
        return self._asked_at is None or self._clock.now() - self._asked_at >= again

    def _ask(self) -> None:
        try:
            self._known = self._fetch()
            self._fetched_at = self._clock.now()
        except IssuerUnavailable as wrong:
            self._why = wrong.message
            _log.warning("what an issuer publishes could not be read, what is known is used on: %s", wrong.message)
        finally:
            self._asked_at = self._clock.now()


class Keys:
    """The public keys of one issuer. Safe for many threads."""

    def __init__(self, url: Callable[[], str], http: httpx.Client, clock: Clock) -> None:
        self._published = Published(lambda: _keys(fetch_json(http, url())), clock)

    def find(self, key_id: str | None, algorithm: str) -> Key:
        """The key that signed. Raises InvalidToken for an unknown one, IssuerUnavailable without any keys."""
        found = _pick(self._published.get(), key_id, algorithm)
        if found is None:
            found = _pick(self._published.renewed(), key_id, algorithm)
        if found is None:
            raise InvalidToken("the token is signed by a key that its issuer does not publish")
        return found


def verify(token: str, keys: Keys) -> Verified:
    """Raises InvalidToken unless a key of the issuer signed it, IssuerUnavailable."""
    header = _unverified(token).headers()
    algorithm, key_id = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise InvalidToken("the token is signed by an algorithm that is not allowed here")
    key = keys.find(key_id if isinstance(key_id, str) else None, algorithm)
    try:
        decoded = jwt.decode(token, key, registry=_REGISTRY)
    except (JoseError, ValueError) as wrong:
        raise InvalidToken("the token's signature is not good") from wrong
    return Verified(decoded.header, decoded.claims)


def issuer_claimed(token: str) -> str:
    """Who the token says signed it: chooses the keys to verify it with, and proves nothing. Raises InvalidToken."""
    try:
        claims = orjson.loads(_unverified(token).payload)
    except orjson.JSONDecodeError as wrong:
        raise InvalidToken("the token cannot be read") from wrong
    issuer = claims.get("iss") if isinstance(claims, dict) else None
    return issuer if isinstance(issuer, str) else ""


def _unverified(token: str) -> jws.CompactSignature:
    if len(token) > _MOST_BYTES or not token.isascii():
        raise InvalidToken("the token cannot be read")
    try:
        parts = jws.extract_compact(token.encode(), registry=_REGISTRY)
    except (JoseError, ValueError, TypeError, RecursionError) as wrong:  # of a header nested a thousand deep
        raise InvalidToken("the token cannot be read") from wrong
    if not isinstance(parts.headers(), dict) or "crit" in parts.headers():
        raise InvalidToken("the token's header asks for what is not understood here")
    return parts


def check(claims: Claims, *, issuer: str, audience: str, now: datetime, must_expire: bool = True) -> None:
    """Issuer, audience and times. Raises InvalidToken."""
    if claims.get("iss") != issuer:
        raise InvalidToken("the token is of another issuer")
    if audience not in _audiences(claims):
        raise InvalidToken("the token is for another audience")
    expires, begins, issued = (time_of(claims, name) for name in ("exp", "nbf", "iat"))
    if expires is None and must_expire:
        raise InvalidToken("the token has no end")
    if expires is not None and now - LEEWAY >= expires:
        raise InvalidToken("the token has expired")
    if begins is not None and now + LEEWAY < begins:
        raise InvalidToken("the token is not valid yet")
    if issued is not None and now + LEEWAY < issued:
        raise InvalidToken("the token comes from the future; compare the clocks")


def _audiences(claims: Claims) -> list[object]:
    given = claims.get("aud")
    return given if isinstance(given, list) else [given]


def time_of(claims: Claims, name: str) -> datetime | None:
    """A NumericDate; None when there is none. Raises InvalidToken."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidToken(f"the token's {name} is no time")
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, ValueError, OSError) as wrong:
        raise InvalidToken(f"the token's {name} is no time") from wrong


def fetch_json(http: httpx.Client, url: str) -> Mapping[str, object]:
    """A JSON object of an identity provider. Raises IssuerUnavailable."""
    try:
        answer = http.get(url, headers={"accept": "application/json"})
        found = answer.json() if answer.status_code == httpx.codes.OK else None
    except (httpx.HTTPError, ValueError) as wrong:
        raise IssuerUnavailable(f"{url} could not be read ({type(wrong).__name__})") from wrong
    if not isinstance(found, dict):
        raise IssuerUnavailable(f"{url} answered {answer.status_code} without a JSON object")
    return found


def _keys(published: Mapping[str, object]) -> tuple[Key, ...]:
    listed = published.get("keys")
    return tuple(key for one in listed if (key := _key(one))) if isinstance(listed, list) else ()


def _key(published: object) -> Key | None:
    """None for what we could not verify with, as the standard asks: keys of other kinds may stand beside."""
    if not isinstance(published, dict) or published.get("kty") not in _KEY_TYPES:
        return None
    if published.get("use", "sig") != "sig":
        return None
    try:
        key = jwk.import_key(published)
    except (JoseError, ValueError, TypeError) as wrong:
        _log.warning("a published key cannot be used: %s", type(wrong).__name__)
        return None
    return None if isinstance(key, jwk.OctKey) else key


def _pick(keys: tuple[Key, ...], key_id: str | None, algorithm: str) -> Key | None:
    kind = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}[algorithm]
    fitting = [key for key in keys if key.key_type == kind and key.get("alg") in (None, algorithm)]
    if key_id is not None:
        return next((key for key in fitting if key.kid == key_id), None)
    return fitting[0] if len(fitting) == 1 else None

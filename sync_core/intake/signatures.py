"""Standard Webhooks 1.0.0, symmetric signatures (v1): made and verified.

Not with the `standardwebhooks` package: it asks the system for the time, its `sign` reads a non-UTC datetime as UTC,
and a malformed header escapes from it as ValueError. The tests hold the two against each other.
In CloudEvents binary mode the signature covers the body alone, not the ce- headers; structured mode covers all.
Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md (read 2026-11-23).
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NewType

from sync_core.errors import BadSignature, InvalidEstate

SigningKey = NewType("SigningKey", bytes)

WINDOW_S: Final = 300
_PREFIX = "whsec_"
# Full stops are allowed, which the standard warns of: one signed text could then be split into id, timestamp and body
# in two ways. No id can hold a brace or bracket, where every JSON body begins, so there is one way.
_ID = re.compile(r"[A-Za-z0-9._:/@+=~-]{1,256}")
_SECONDS = re.compile(r"[0-9]{1,12}")
_MOST_SIGNATURES = 16


def signing_key(secret: str) -> SigningKey:
    """From `whsec_` + base64. Raises InvalidEstate that never repeats the secret."""
    try:
        key = base64.b64decode(_padded(secret.strip().removeprefix(_PREFIX)), validate=True)
    except (binascii.Error, ValueError) as wrong:
        raise InvalidEstate("a webhook secret is not whsec_ followed by base64; make a new one") from wrong
    if not 24 <= len(key) <= 64:
        raise InvalidEstate(f"a webhook secret has {len(key)} bytes; make one of 24 to 64")
    return SigningKey(key)


def usable_keys(secrets: Iterable[str | None]) -> list[SigningKey]:
    """Of those that are set and well-formed; the others are left out."""
    keys = []
    for secret in secrets:
        try:
            keys += [signing_key(secret)] if secret else []
        except InvalidEstate:
            continue  # whoever has no key left says so when it would sign
    return keys


def sign(body: bytes, *, webhook_id: str, at: datetime, key: SigningKey) -> dict[str, str]:
    """The three headers of one attempt; `webhook_id` stays the same over retries, `at` does not."""
    if at.tzinfo is None:
        raise ValueError("sign with an aware datetime")
    seconds = str(int(at.timestamp()))
    code = base64.b64encode(_digest(body, webhook_id, seconds, key)).decode()
    return {"webhook-id": webhook_id, "webhook-timestamp": seconds, "webhook-signature": f"v1,{code}"}


def verify(headers: Mapping[str, str], body: bytes, *, keys: Sequence[SigningKey], now: datetime) -> None:
    """Raises BadSignature that names the check that failed. Any of `keys` will do; header names are lower case."""
    if not keys:
        raise BadSignature("no webhook secret is set for this source; add one to its CLM in the estate")
    webhook_id = _header(headers, "webhook-id", _ID, "1 to 256 letters, digits or any of ._:/@+=~-")
    seconds = _header(headers, "webhook-timestamp", _SECONDS, "unix seconds in digits")
    apart_s = int(seconds) - now.timestamp()
    if abs(apart_s) > WINDOW_S:
        side = "ahead of" if apart_s > 0 else "behind"
        raise BadSignature(f"webhook-timestamp is more than {WINDOW_S} s {side} our clock; sign each attempt anew")
    given = _v1_signatures(headers.get("webhook-signature", ""))
    # No early exit: how long it takes says nothing about which key or signature came close.
    expected = [_digest(body, webhook_id, seconds, key) for key in keys]
    matches = [hmac.compare_digest(mine, theirs) for mine in expected for theirs in given]
    if not any(matches):
        raise BadSignature("no signature matches; sign `id.timestamp.body` with this source's secret, byte by byte")


def _header(headers: Mapping[str, str], name: str, shape: re.Pattern[str], words: str) -> str:
    value = headers.get(name)
    if value is None:
        raise BadSignature(f"header {name} is missing; send the three Standard Webhooks headers")
    if not shape.fullmatch(value):
        raise BadSignature(f"header {name} is malformed; it is {words}")
    return value


def _v1_signatures(header: str) -> list[bytes]:
    listed = header.split()[:_MOST_SIGNATURES]
    if not listed:
        raise BadSignature("header webhook-signature is missing; send v1,<base64 of the HMAC-SHA256>")
    decoded = []
    for version, _, code in (item.partition(",") for item in listed):
        if version != "v1":
            continue
        try:
            decoded.append(base64.b64decode(code, validate=True))
        except (binascii.Error, ValueError):
            # Beside a good signature a broken one does no harm; alone it fails below as no signature at all.
            continue
    if not decoded:
        raise BadSignature("header webhook-signature holds no well-formed v1 signature; send v1,<base64>")
    return decoded


def _digest(body: bytes, webhook_id: str, seconds: str, key: SigningKey) -> bytes:
    return hmac.new(key, f"{webhook_id}.{seconds}.".encode() + body, hashlib.sha256).digest()


def _padded(text: str) -> str:
    return text + "=" * (-len(text) % 4)

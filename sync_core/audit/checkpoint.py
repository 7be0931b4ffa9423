"""Signed checkpoints of the audit: what its last row was at a moment, kept where the database's owner cannot change it.

The chain alone shows an edit by somebody who does not recompute it. Whoever can write to the database can recompute it
to its end; a checkpoint that lies elsewhere, signed with a key that is not in the database, is what shows that.
Ed25519 (RFC 8032). A key is known by the first 16 hex digits of the SHA-256 of its 32 public bytes.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import orjson
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from sync_core.errors import TielineError

_KIND: Final = "tieline.audit.checkpoint.v1"  # signed along, so that no other signature can pass for one


class InvalidKey(TielineError):
    """The text is no Ed25519 key as we write it; make one with `openssl genpkey -algorithm ed25519`."""

    code = "audit.invalid_key"


class InvalidCheckpoint(TielineError):
    """A checkpoint that cannot be read or whose signature is not that of a key we trust; the message says which."""

    code = "audit.invalid_checkpoint"


class Signer:
    """An Ed25519 key that signs checkpoints and evidence."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(key.public_key())

    @classmethod
    def parse(cls, text: str) -> "Signer":
        """From 32 bytes in base64, or from a private key in PEM. Raises InvalidKey, which does not repeat the text."""
        try:
            if text.lstrip().startswith("-----"):
                key = load_pem_private_key(text.encode(), password=None)
            else:
                key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(text.strip(), validate=True))
        except (ValueError, TypeError, UnsupportedAlgorithm) as wrong:
            raise InvalidKey("the audit's key is neither 32 bytes in base64 nor a private key in PEM") from wrong
        if not isinstance(key, Ed25519PrivateKey):
            raise InvalidKey("the audit's key is not an Ed25519 key; make one: openssl genpkey -algorithm ed25519")
        return cls(key)

    def sign(self, message: bytes) -> str:
        """Base64."""
        return base64.b64encode(self._key.sign(message)).decode()


class PublicKey:
    """What a signature is checked with."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key
        self.id = hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]

    @classmethod
    def parse(cls, pem: str) -> "PublicKey":
        """Raises InvalidKey."""
        try:
            key = load_pem_public_key(pem.encode())
        except (ValueError, UnsupportedAlgorithm) as wrong:
            raise InvalidKey("this is no public key in PEM; `tieline audit key` prints one") from wrong
        if not isinstance(key, Ed25519PublicKey):
            raise InvalidKey("this public key is not an Ed25519 key; `tieline audit key` prints ours")
        return cls(key)

    @property
    def pem(self) -> str:
        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def accepts(self, message: bytes, signature: str) -> bool:
        try:
            self._key.verify(base64.b64decode(signature, validate=True), message)
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The audit's last row (`id`, `hash` in hex) at `occurred_at`, when its `rows` rows were verified."""

    id: int
    hash: str
    occurred_at: datetime
    rows: int
    key_id: str
    signature: str

    @property
    def message(self) -> bytes:
        """The bytes that are signed."""
        return _message(self.id, self.hash, self.occurred_at, self.rows, self.key_id)

    @property
    def as_json(self) -> dict[str, object]:
        return {
            "id": self.id,
            "hash": self.hash,
            "occurred_at": _text(self.occurred_at),
            "rows": self.rows,
            "key_id": self.key_id,
            "signature": self.signature,
        }

    @property
    def text(self) -> str:
        return orjson.dumps(self.as_json, option=orjson.OPT_INDENT_2).decode() + "\n"

    @property
    def file_name(self) -> str:
        """Sorts by row; the same state of the audit at the same moment has the same name."""
        return f"audit-{self.id:012d}-{self.occurred_at.astimezone(UTC):%Y%m%dT%H%M%SZ}.json"


def make(signer: Signer, *, last_id: int, last_hash: bytes, rows: int, now: datetime) -> Checkpoint:
    """Sign that the audit's last row is this one. The caller has verified the chain up to it."""
    key_id, hashed = signer.public.id, last_hash.hex()
    signature = signer.sign(_message(last_id, hashed, now, rows, key_id))
    return Checkpoint(last_id, hashed, now.astimezone(UTC), rows, key_id, signature)


def read(text: str | bytes, keys: Mapping[str, PublicKey], *, name: str) -> Checkpoint:
    """A checkpoint whose signature is that of one of `keys` (by id). Raises InvalidCheckpoint naming `name`."""
    try:
        found = orjson.loads(text)
        one = Checkpoint(
            int(found["id"]), str(found["hash"]), datetime.fromisoformat(found["occurred_at"]), int(found["rows"]),
            str(found["key_id"]), str(found["signature"]),
        )  # fmt: skip
        bytes.fromhex(one.hash)
    except (ValueError, KeyError, TypeError) as wrong:
        raise InvalidCheckpoint(f"checkpoint {name} cannot be read: {type(wrong).__name__} in it") from wrong
    key = keys.get(one.key_id)
    if key is None:
        raise InvalidCheckpoint(f"checkpoint {name} is signed with key {one.key_id[:40]!r}, which is not trusted here")
    if one.occurred_at.tzinfo is None or not key.accepts(one.message, one.signature):
        raise InvalidCheckpoint(f"checkpoint {name} does not carry a valid signature of key {key.id}: it was changed")
    return one


def _message(last_id: int, hashed: str, moment: datetime, rows: int, key_id: str) -> bytes:
    return orjson.dumps([_KIND, last_id, hashed, _text(moment), rows, key_id])


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")

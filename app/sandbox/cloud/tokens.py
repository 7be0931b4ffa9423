"""OAuth 2.0 client credentials (RFC 6749, 4.4). Tokens are kept as digests, in memory: a restart ends them all."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.sandbox.cloud.problems import Problem
from sync_core.clock import Clock


@dataclass(slots=True)
class Tokens:
    clock: Clock
    client_id: str
    client_secret: str
    lasts: timedelta = timedelta(hours=1)
    issued: int = 0
    _live: dict[bytes, datetime] = field(default_factory=dict)

    def issue(self, form: Mapping[str, str]) -> dict[str, str | int]:
        if form.get("grant_type") != "client_credentials":
            raise Problem(400, "unsupported_grant_type", "grant_type must be client_credentials")
        known = secrets.compare_digest(form.get("client_id", "").encode(), self.client_id.encode())
        right = secrets.compare_digest(form.get("client_secret", "").encode(), self.client_secret.encode())
        if not (known and right):
            raise Problem(401, "invalid_client", "this client id and secret are not known")
        now = self.clock.now()
        self._live = {digest: ends for digest, ends in self._live.items() if ends > now}
        token = secrets.token_urlsafe(32)
        self._live[_digest(token)] = now + self.lasts
        self.issued += 1
        return {"access_token": token, "token_type": "Bearer", "expires_in": int(self.lasts.total_seconds())}

    def check(self, authorization: str) -> None:
        scheme, _, token = authorization.partition(" ")
        # Looking a digest up tells nothing of the tokens by its timing.
        ends = self._live.get(_digest(token)) if scheme.lower() == "bearer" else None
        if ends is None or ends <= self.clock.now():
            raise Problem(401, "invalid_token", "the bearer token is missing, unknown or expired")

    def revoke_all(self) -> None:
        self._live.clear()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()

"""Test only: an identity provider on a real port that can be told to lie, and whose keys the test holds.

`oidc-provider-mock` plays the honest one elsewhere; nothing of it signs a wrong token.
"""

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from joserfc import jwk, jws
from joserfc.jws import JWSRegistry

Key = jwk.RSAKey | jwk.ECKey | jwk.OKPKey

CLIENT_ID, CLIENT_SECRET = "tieline", "tests only: é/+"
_REGISTRY = JWSRegistry(algorithms=["RS256", "ES256", "PS256"])
_SHARED: dict[str, Key] = {}


def rsa(key_id: str = "first") -> jwk.RSAKey:
    return jwk.RSAKey.generate_key(2048, {"kid": key_id, "use": "sig"})


def elliptic(key_id: str = "curve") -> jwk.ECKey:
    return jwk.ECKey.generate_key("P-256", {"kid": key_id, "use": "sig"})


def signed(claims: Mapping[str, object], key: jwk.Key | None, algorithm: str = "RS256", **header: object) -> str:
    """`key` None: with the algorithm "none"."""
    protected: dict[str, Any] = {"alg": algorithm, **({"kid": key.kid} if key and key.kid else {}), **header}
    if key is None:
        parts = (json.dumps(protected).encode(), json.dumps(claims).encode())
        return ".".join([*(base64.urlsafe_b64encode(p).rstrip(b"=").decode() for p in parts), ""])
    return jws.serialize_compact(protected, json.dumps(claims).encode(), key, registry=_REGISTRY)


def signed_by_public_key(claims: Mapping[str, object], key: Key) -> str:
    """The old trick: HMAC with the public key as its secret, which everybody knows. joserfc itself refuses to."""
    parts = (json.dumps({"alg": "HS256", "kid": key.kid}).encode(), json.dumps(claims).encode())
    text = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    mark = hmac.digest(key.as_pem(private=False), text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(mark).rstrip(b'=').decode()}"


@dataclass
class IdentityProvider:
    """What it is asked is kept; what it answers can be altered."""

    port: int
    keys: list[Key]
    person: dict[str, object] = field(
        default_factory=lambda: {"sub": "s-1", "email": "Maya@Example.com", "roles": ["tax-uk"], "sid": "idp-1"}
    )
    alter: Callable[[dict[str, object]], dict[str, object]] = dict
    sign: Callable[["IdentityProvider", Mapping[str, object]], str] | None = None
    published: list[Key] | None = None
    token_status: int = 200
    fetched_keys: int = 0
    asked: dict[str, dict[str, str]] = field(default_factory=dict)  # by code

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def claims(self, nonce: str | None = None, **more: object) -> dict[str, object]:
        now = int(time.time())
        base: dict[str, object] = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300}
        return {**base, **self.person, **({"nonce": nonce} if nonce else {}), **more}

    def token(self, claims: Mapping[str, object]) -> str:
        return self.sign(self, claims) if self.sign else signed(claims, self.keys[0])

    def answer(self, method: str, path: str, query: dict[str, str], body: dict[str, str], auth: str) -> "_Answer":
        match method, path:
            case "GET", "/.well-known/openid-configuration":
                return _Answer(self._discovery())
            case "GET", "/jwks":
                self.fetched_keys += 1
                published = self.keys if self.published is None else self.published
                return _Answer({"keys": [{"kty": "AKP", "kid": "new kind"}, *(key.as_dict() for key in published)]})
            case "GET", "/authorize":
                code = secrets.token_urlsafe(8)
                self.asked[code] = query
                back = urlencode({"code": code, "state": query["state"], "iss": self.issuer})
                return _Answer({}, 302, f"{query['redirect_uri']}?{back}")
            case "POST", "/token":
                return self._token(body, auth)
        return _Answer({}, 404)

    def _discovery(self) -> dict[str, object]:
        places = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks"}
        found = {name: f"{self.issuer}/{place}" for name, place in places.items()}
        return {"issuer": self.issuer, "end_session_endpoint": f"{self.issuer}/end", **found}

    def _token(self, body: dict[str, str], auth: str) -> "_Answer":
        asked = self.asked.pop(body.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(body.get("code_verifier", "").encode()).digest())
        good = base64.b64decode(auth.partition(" ")[2]).decode() == f"{CLIENT_ID}:{_encoded(CLIENT_SECRET)}"
        if asked is None or not good or asked["code_challenge"] != challenge.rstrip(b"=").decode():
            return _Answer({"error": "invalid_grant"}, 400)
        if body["redirect_uri"] != asked["redirect_uri"] or asked["code_challenge_method"] != "S256":
            return _Answer({"error": "invalid_grant"}, 400)
        claims = self.alter(self.claims(asked["nonce"]))
        return _Answer({"access_token": "x", "token_type": "Bearer", "id_token": self.token(claims)}, self.token_status)


@dataclass(frozen=True)
class _Answer:
    body: Mapping[str, object]
    status: int = 200
    location: str | None = None


def _encoded(text: str) -> str:
    return urlencode({"": text})[1:].replace("+", "%20")


@contextmanager
def running(key: Key | None = None) -> Iterator[IdentityProvider]:
    """Listens before it is yielded, and ends with the block. Without a key: one that all tests share."""
    shared = key or _SHARED.setdefault("rsa", rsa())

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._serve({})

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            self._serve(dict(parse_qsl(raw)))

        def _serve(self, body: dict[str, str]) -> None:
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            auth = self.headers.get("authorization", "")
            answer = provider.answer(self.command, url.path, query, body, auth)
            sent = json.dumps(answer.body).encode()
            self.send_response(answer.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(sent)))
            if answer.location:
                self.send_header("location", answer.location)
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider = IdentityProvider(server.server_address[1], [shared])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()

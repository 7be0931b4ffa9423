"""Test only: the API over one database, programs with tokens of their own, and the published schema held to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx
import jsonschema
import orjson
import sqlalchemy as sa
from fastapi import FastAPI
from starlette.routing import compile_path

from app import api as http_api
from app.api.access_log import AccessLog
from app.api.openapi import document
from app.identity.api_tokens import ApiTokens
from app.identity.bearer import Bearer
from app.identity.refusal_counts import Refusals
from app.published import errors_table
from metrics.measures import Measures
from sync_core.authority import Permission, person
from sync_core.clock import Clock, VirtualClock
from sync_core.commands.commands import Commands
from sync_core.estate.estate import Estate
from sync_core.reads.reads import Reads
from tests import rows
from tests.reads.handmade import insert
from tests.rows import NOW

ADMINISTRATOR = person("admin@example.com", ["administrator"])
EVERY_SCOPE = tuple(Permission)

_numbers = count(1)
_codes = {row.code for row in errors_table.rows()}


@dataclass
class Published:
    """The OpenAPI document; each answer is held against it."""

    document: Mapping[str, Any]
    answered: set[tuple[str, str, int]] = field(default_factory=set)  # method, path, status

    def __post_init__(self) -> None:
        paths = sorted(self.document["paths"], key=lambda path: path.count("{"))
        self._paths = [(compile_path(path)[0], path) for path in paths]
        self._validators: dict[str, jsonschema.Draft202012Validator] = {}

    def path_of(self, method: str, path: str) -> str | None:
        item = self.document["paths"]
        found = (known for regex, known in self._paths if regex.match(path) and method.lower() in item[known])
        return next(found, None)

    def check(self, response: httpx.Response) -> None:
        """Raises AssertionError or ValidationError for an answer that the document does not foresee."""
        method = response.request.method
        path = self.path_of(method, response.request.url.path)
        kind = response.headers.get("content-type", "")
        if kind == "application/problem+json":
            assert response.json()["code"] in _codes, response.text
            assert response.json()["correlation_id"] == response.headers["x-correlation-id"]
        if path is None:
            return
        self.answered.add((method, path, response.status_code))
        foreseen = self.document["paths"][path][method.lower()]["responses"]
        assert str(response.status_code) in foreseen, (method, path, response.status_code, response.text)
        content = foreseen[str(response.status_code)].get("content", {})
        if not kind:
            assert not content
            assert not response.content
            return
        schema = content[kind]["schema"]
        if kind.endswith("json"):
            self._validator(schema).validate(response.json())

    def _validator(self, schema: Mapping[str, Any]) -> jsonschema.Draft202012Validator:
        named = str(schema)
        if named not in self._validators:
            whole = {**schema, "components": self.document["components"]}
            self._validators[named] = jsonschema.Draft202012Validator(whole)
        return self._validators[named]


_published: list[Published] = []


def published(app: FastAPI) -> Published:
    """The same for every door, and costly to make."""
    if not _published:
        _published.append(Published(document(app)))
    return _published[0]


class Door:
    """The API as `tieline api` serves it, but for intake."""

    def __init__(self, engine: sa.Engine, *, clock: Clock | None = None, estate: Estate | None = None) -> None:
        self.engine, self.clock, self.estate = engine, clock or VirtualClock(rows.NOW), estate or rows.estate()
        self.commands = Commands(engine, clock=self.clock, estate=self.estate)
        self.log = AccessLog(engine, self.clock)
        self.tokens = ApiTokens(engine, self.clock)
        self.app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        self.app.state.bearer = Bearer((self.tokens,), Refusals(engine, self.clock))
        reads = Reads(engine, clock=self.clock, estate=self.estate)
        measures = Measures(engine, clock=self.clock, estate=self.estate)
        http_api.add_to(self.app, http_api.Api(reads, self.commands, self.log, measures))
        self.published = published(self.app)

    def token(self, *scopes: Permission, entities: frozenset[str] | None = None) -> str:
        """Of a new client with these scopes."""
        made = self.commands.access.create_client(
            ADMINISTRATOR, f"program-{next(_numbers)}", scopes=scopes, entities=entities
        )
        return self.tokens.issue(made.client_id, made.secret, "").token

    def calls(self, *scopes: Permission, entities: frozenset[str] | None = None) -> httpx.AsyncClient:
        """A program with these scopes, all of them if none is named."""
        return self.bearing(self.token(*(scopes or EVERY_SCOPE), entities=entities))

    def bearing(self, token: str | None) -> httpx.AsyncClient:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="http://api/v1", headers=headers,
            event_hooks={"response": [self._hold]},
        )  # fmt: skip

    async def _hold(self, response: httpx.Response) -> None:
        await response.aread()
        self.published.check(response)

    def audited(self, action: str) -> list[sa.RowMapping]:
        with self.engine.connect() as conn:
            found = conn.execute(sa.text("SELECT * FROM core.audit WHERE action = :a ORDER BY id"), {"a": action})
            return list(found.mappings())


def detail(row: sa.RowMapping) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(row["detail"])
    return found


def key(text: str) -> dict[str, str]:
    return {"idempotency-key": f'"{text}"'}


def if_match(version: int | str) -> dict[str, str]:
    return {"if-match": version if isinstance(version, str) else f'W/"{version}"'}


def replay(door: Door, contract_id: int, entity: str) -> int:
    """A previewed replay of one contract; its id."""
    made = insert(
        door.engine, "replay", "replay_id", created_at=NOW, created_by="a@example.com", title="t", origin="current",
        selection="{}", entities=[entity], items=1, state="previewed", per_minute=60,
    )  # fmt: skip
    insert(
        door.engine, "replay_item", replay_id=made, contract_id=contract_id, position=1, eligibility="eligible",
        preview="done", preview_due_at=NOW, state="pending", lane="cloud", plan="[]",
    )  # fmt: skip
    return made

"""Programs that may call the API. A secret is answered once and never kept: a repeated request gets none."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote

import orjson
from fastapi import Depends, Path, Response
from pydantic import Field, StringConstraints

from app.api.answers import AllOf, Moment, View, answer, done
from app.api.calling import Call, calling
from app.api.conditions import once, read_version
from app.api.inputs import Body, Id, Why, Word
from app.api.routing import CHANGING, EDITING, problems, resource
from sync_core.authority import Permission
from sync_core.commands import access
from sync_core.commands.access import ClientSecret
from sync_core.commands.desk import Act, Answered, NotFound, Once

routes = resource("clients")
Administering = Annotated[Call, Depends(calling(Permission.ACCESS_WRITE))]
Key = Annotated[Once | None, Depends(once)]

CLIENT_ID = r"^[a-z0-9][a-z0-9-]{1,38}[a-z0-9]$"
ClientId = Annotated[str, Path(pattern=CLIENT_ID)]


class SecretView(View):
    """A valid secret, without the secret."""

    secret_id: int
    created_at: Moment
    last_used_at: Moment | None


class ClientView(View):
    client_id: str
    description: str
    scopes: list[str]
    entities: Annotated[list[str] | None, Field(description="Legal entities within its reach; null: every one")]
    created_by: str
    created_at: Moment
    disabled_at: Moment | None
    version: int
    secrets: list[SecretView]


class NewClient(Body):
    client_id: Annotated[str, StringConstraints(pattern=CLIENT_ID), Field(examples=["erp-bridge"])]
    scopes: Annotated[list[Permission], Field(min_length=1, max_length=len(Permission))]
    entities: Annotated[list[Word] | None, Field(max_length=1_000, description="null: every legal entity")]
    description: Annotated[Word, Field(description="What it is and whose")] = ""


class NewSecretView(View):
    client_id: str
    secret_id: int
    client_secret: Annotated[str | None, Field(description="Shown once; null in the answer to a repeated request")]


class ClientChangedView(View):
    client_id: str


@routes.get("/clients", response_model=AllOf[ClientView], summary="List the programs that may call the API")
def list_clients(call: Administering) -> Response:
    return answer(AllOf[ClientView](items=_known(call)))


@routes.get("/clients/{client_id}", response_model=ClientView, responses=problems(404), summary="One program")
def one_client(call: Administering, client_id: ClientId) -> Response:
    for view in _known(call):
        if view.client_id == client_id:
            return answer(view, version=view.version)
    raise NotFound(f"there is no client {client_id!r} within your reach")


@routes.post(
    "/clients",
    response_model=NewSecretView,
    status_code=HTTPStatus.CREATED,
    responses=problems(*CHANGING),
    summary="Make a program's client, and its first secret",
)
def create(call: Administering, body: NewClient, key: Key) -> Response:
    """Nobody gives a program more scopes or legal entities than the caller has."""
    entities = None if body.entities is None else frozenset(body.entities)
    where = f"/v1/clients/{quote(body.client_id, safe='')}"
    return _with_secret(
        call, key, where,
        lambda act: access.create_client(
            act, body.client_id, scopes=body.scopes, entities=entities, description=body.description
        ),
    )  # fmt: skip


@routes.post(
    "/clients/{client_id}/secrets",
    response_model=NewSecretView,
    status_code=HTTPStatus.CREATED,
    responses=problems(*CHANGING, 404),
    summary="Make a second secret; the first works until it is revoked",
)
def rotate(call: Administering, client_id: ClientId, key: Key) -> Response:
    return _with_secret(call, key, f"/v1/clients/{client_id}", lambda act: access.rotate_secret(act, client_id))


@routes.post(
    "/clients/{client_id}/secrets/{secret_id}/revoke",
    response_model=ClientChangedView,
    responses=problems(*CHANGING, 404),
    summary="Take a secret back, and every token that was got with it",
)
def revoke(call: Administering, client_id: ClientId, secret_id: Id, body: Why, key: Key) -> Response:
    return done(
        call.carry_out(
            key,
            lambda act: access.revoke_secret(act, client_id, secret_id, reason=body.reason),
            ClientChangedView.model_validate,
        )
    )


@routes.post(
    "/clients/{client_id}/disable",
    response_model=ClientChangedView,
    responses=problems(*EDITING),
    summary="Disable a client for good",
)
def disable(
    call: Administering, client_id: ClientId, version: Annotated[int | None, Depends(read_version)], body: Why, key: Key
) -> Response:
    return done(
        call.carry_out(
            key,
            lambda act: access.disable_client(act, client_id, reason=body.reason, version=version),
            ClientChangedView.model_validate,
        )
    )


def _known(call: Call) -> list[ClientView]:
    return [ClientView.model_validate(one) for one in call.reads.clients()]


def _with_secret(call: Call, key: Once | None, where: str, work: Callable[[Act], ClientSecret]) -> Response:
    """What is kept for a repeat has no secret in it; what is sent now has."""
    made: list[ClientSecret] = []

    def kept(result: ClientSecret) -> NewSecretView:
        made.append(result)
        return NewSecretView(client_id=result.client_id, secret_id=result.secret_id, client_secret=None)

    answered = call.carry_out(key, work, kept)
    if not answered.repeated:
        shown = {**orjson.loads(answered.body), "client_secret": made[0].secret}
        answered = Answered(orjson.dumps(shown), repeated=False)
    return done(answered, status=HTTPStatus.CREATED, headers={"location": where})

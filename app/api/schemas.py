"""Versions of events: who sends which, registrations of new ones, fields that came in anew, what connectors need."""

from datetime import date
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Depends, Response
from pydantic import Field, StringConstraints

from app.api.answers import AllOf, Moment, PageOf, Paging, View, answer, done, paging
from app.api.calling import Call, calling
from app.api.conditions import read_version, surely_once
from app.api.inputs import NO_NUL, Body, Id, Number, Reason, Why, Word
from app.api.routing import CHANGING, EDITING, problems, resource
from sync_core.authority import Permission
from sync_core.commands import schemas
from sync_core.commands.desk import NotFound, Once
from sync_core.errors import Function
from sync_core.reads.schemas import Registration
from sync_core.schemas.registered import MOST_BYTES, MOST_RENAMES
from sync_core.schemas.versions import State

routes = resource("schemas")
Reading = Annotated[Call, Depends(calling(Permission.KPI_READ))]
Writing = Annotated[Call, Depends(calling(Permission.SCHEMAS_WRITE))]
SureKey = Annotated[Once, Depends(surely_once)]
Version = Annotated[int | None, Depends(read_version)]


class ClientView(View):
    """Who sends a version: the CLM, and the way by which its events came."""

    source: str
    received_by: str
    lately: Annotated[int, Field(description="Events of the last 30 days")]
    events: int
    last_at: Moment
    own: Annotated[bool, Field(description="Tieline's own import of files")]


class SchemaVersionView(View):
    """Days are whole ones in UTC. `registered`: while Tieline runs, not part of this release."""

    name: str
    state: State
    owner: Function
    since: str
    summary: str
    signature: bool
    reads_as: Annotated[str | None, Field(description="The version that the core reads in its place")]
    deprecated_on: date | None
    sunset_on: date | None
    removed_on: date | None
    successor: str | None
    registered: bool
    clients: list[ClientView]


class UnknownVersionView(View):
    """What waits in quarantine for a schema."""

    type: str
    events: int
    signatures: int
    oldest_at: Moment


class RenameView(View):
    theirs: str
    ours: str


class RegistrationView(View):
    registration_id: int
    type: str
    json_schema: Annotated[str, Field(description="JSON Schema, as text")]
    reads_as: str
    renames: list[RenameView]
    reason: str
    registered_at: Moment
    registered_by: str
    withdrawn_at: Moment | None
    withdrawn_by: str | None
    withdrawn_reason: str | None
    version: int


class DriftView(View):
    """A field that came in and that no schema here knows; it is kept with its events."""

    drift_id: int
    source: str
    type: str
    path: str
    shape: Annotated[str, Field(description="JSON type of the first value")]
    events: int
    first_seen_at: Moment
    last_seen_at: Moment
    acknowledged_at: Moment | None
    acknowledged_by: str | None
    acknowledged_as: str | None


class ConnectorCheckView(View):
    """`problem` null: all that the connector needs was there at the last look. `does_without`: what an older ERP has
    not, and what follows.
    """

    lane: str
    api: str
    needs: dict[str, list[str]]
    checked_at: Moment
    problem: str | None
    does_without: str | None


_Path = Annotated[str, StringConstraints(min_length=1, max_length=400, pattern=NO_NUL)]


class Rename(Body):
    """Their field is read as ours: `terms.lines[].sum` as `terms.lines[].amount`."""

    theirs: _Path
    ours: _Path


class Proposal(Body):
    type: Annotated[Word, Field(examples=["com.tieline.contract.signed.v3"])]
    json_schema: Annotated[
        str, StringConstraints(max_length=MOST_BYTES, pattern=NO_NUL), Field(description="JSON Schema 2020-12, as text")
    ]
    reads_as: Annotated[Word, Field(examples=["com.tieline.contract.signed.v2"])]
    renames: Annotated[tuple[Rename, ...], Field(max_length=MOST_RENAMES)] = ()

    @property
    def proposed(self) -> schemas.Proposed:
        renames = tuple((one.theirs, one.ours) for one in self.renames)
        return schemas.Proposed(self.type, self.json_schema, self.reads_as, renames)


class NewRegistration(Proposal):
    reason: Reason


class Fields(Body):
    drift_ids: Annotated[list[Number], Field(min_length=1, max_length=schemas.MOST)]
    reason: Reason


class StillHeldView(View):
    quarantine_id: int
    words: str


class RegistrationPreviewView(View):
    type: str
    waiting: Annotated[int, Field(description="Events in quarantine for it")]
    looked_at: int
    understood: Annotated[int, Field(description="Of those looked at")]
    held: list[StillHeldView]


class SchemaRegisteredView(View):
    registration_id: int
    released: list[int]
    held: list[StillHeldView]


class SchemaWithdrawnView(View):
    registration_id: int
    version: int


class DriftAcknowledgedView(View):
    drift_ids: list[int]


@routes.get(
    "/schema-versions", response_model=AllOf[SchemaVersionView], summary="Versions of events, and who sends each"
)
def versions(call: Reading) -> Response:
    found = [SchemaVersionView.model_validate(one) for one in call.reads.schema_versions()]
    return answer(AllOf[SchemaVersionView](items=found))


@routes.get(
    "/schema-versions/unknown",
    response_model=AllOf[UnknownVersionView],
    summary="Types that wait in quarantine because nobody knows them",
)
def unknown(call: Reading) -> Response:
    found = [UnknownVersionView.model_validate(one) for one in call.reads.unknown_versions()]
    return answer(AllOf[UnknownVersionView](items=found))


@routes.get(
    "/schema-registrations", response_model=PageOf[RegistrationView], summary="Registered versions, in force first"
)
def registrations(call: Reading, page: Annotated[Paging, Depends(paging)]) -> Response:
    return page.answer(call.reads.schema_registrations(page.window), RegistrationView, registration_view)


@routes.post(
    "/schema-registrations/preview",
    response_model=RegistrationPreviewView,
    responses=problems(400, 413),
    summary="What registering a version would release; changes nothing",
)
def preview(call: Writing, body: Proposal) -> Response:
    found = call.api.commands.schemas.preview(call.actor, body.proposed)
    return answer(RegistrationPreviewView.model_validate(found))


@routes.post(
    "/schema-registrations",
    status_code=HTTPStatus.CREATED,
    response_model=SchemaRegisteredView,
    responses=problems(*CHANGING),
    summary="Register a version, and release what waits for it",
)
def register(call: Writing, body: NewRegistration, key: SureKey) -> Response:
    made = call.carry_out(
        key, lambda act: schemas.register(act, body.proposed, body.reason), SchemaRegisteredView.model_validate
    )
    return done(made, status=HTTPStatus.CREATED)


@routes.get(
    "/schema-registrations/{registration_id}",
    response_model=RegistrationView,
    responses=problems(404),
    summary="One registration",
)
def one_registration(call: Reading, registration_id: Id) -> Response:
    one = call.reads.schema_registration(registration_id)
    if one is None:
        raise NotFound(f"there is no registration {registration_id}")
    return answer(registration_view(one), version=one.version)


_WITHDRAWN: Final[dict[str, Any]] = {"response_model": SchemaWithdrawnView, "responses": problems(*EDITING)}


@routes.post("/schema-registrations/{registration_id}/withdraw", **_WITHDRAWN, summary="Take no more of a version")
def withdraw(call: Writing, registration_id: Id, version: Version, body: Why, key: SureKey) -> Response:
    """What was stored stays; what comes in from now on is quarantined."""
    return done(
        call.carry_out(
            key,
            lambda act: schemas.withdraw(act, registration_id, body.reason, version=version),
            SchemaWithdrawnView.model_validate,
        )
    )


@routes.get(
    "/schema-drift",
    response_model=PageOf[DriftView],
    summary="Fields that came in anew, those that nobody has looked at first",
)
def drift(call: Reading, page: Annotated[Paging, Depends(paging)]) -> Response:
    return page.answer(call.reads.schema_drift(page.window), DriftView)


@routes.post(
    "/schema-drift/acknowledge",
    response_model=DriftAcknowledgedView,
    responses=problems(*CHANGING, 404),
    summary="These fields are known now; all or none",
)
def acknowledge(call: Writing, body: Fields, key: SureKey) -> Response:
    return done(
        call.carry_out(
            key,
            lambda act: schemas.acknowledge(act, body.drift_ids, body.reason),
            DriftAcknowledgedView.model_validate,
        )
    )


@routes.get(
    "/connector-checks",
    response_model=AllOf[ConnectorCheckView],
    summary="What each connector needs of its ERP's answers, and what the last look found",
)
def connector_checks(call: Reading) -> Response:
    found = [ConnectorCheckView.model_validate(one) for one in call.reads.connector_checks()]
    return answer(AllOf[ConnectorCheckView](items=found))


def registration_view(one: Registration) -> RegistrationView:
    renames = [RenameView(theirs=theirs, ours=ours) for theirs, ours in one.renames]
    return RegistrationView(
        registration_id=one.registration_id, type=one.type, json_schema=one.body, reads_as=one.reads_as,
        renames=renames, reason=one.reason, registered_at=one.registered_at, registered_by=one.registered_by,
        withdrawn_at=one.withdrawn_at, withdrawn_by=one.withdrawn_by, withdrawn_reason=one.withdrawn_reason,
        version=one.version,
    )  # fmt: skip

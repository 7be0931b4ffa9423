"""Subscribers of outgoing events: how far each is, held back, let go on, sent again, tried."""

from typing import Annotated, Any, Final

from fastapi import Depends, Path, Query, Response
from pydantic import AwareDatetime, Field, model_validator

from app.api.answers import AllOf, Moment, PageOf, Paging, Seconds, View, answer, done, paging
from app.api.calling import Call, calling
from app.api.conditions import once, read_version
from app.api.inputs import MOST_ID, NO_NUL, Body, Number, Reason, Text, Why
from app.api.routing import CHANGING, EDITING, problems, resource
from sync_core.authority import Permission
from sync_core.commands import subscribers
from sync_core.commands.desk import NotFound, Once
from sync_core.reads.deliveries import DeliveryFilter

routes = resource("subscribers")
Administering = Annotated[Call, Depends(calling(Permission.SUBSCRIBERS_WRITE))]
Key = Annotated[Once | None, Depends(once)]
Version = Annotated[int | None, Depends(read_version)]
Name = Annotated[str, Path(max_length=100, pattern=NO_NUL, examples=["data-lake"])]


class SubscriberView(View):
    """One subscriber of the estate, and what waits for it."""

    name: str
    url: str
    types: list[str]
    entities: Annotated[list[str] | None, Field(description="null: events of every legal entity")]
    sent_seq: Annotated[int | None, Field(description="The last event that it took; null: it was never served")]
    head: Annotated[int, Field(description="The newest event there is")]
    behind: Annotated[int, Field(description="Events that wait for it; exact up to 10,000")]
    lag: Annotated[Seconds | None, Field(description="Age in seconds of the oldest that waits")]
    failures: int
    next_at: Moment | None
    last_error: str | None
    last_error_at: Moment | None
    last_ok_at: Moment | None
    paused_by: str | None
    paused_at: Moment | None
    pause_reason: str | None
    version: int


class DeliveryView(View):
    """One outgoing event."""

    seq: int
    id: str
    type: str
    subject: str
    contract_id: int | None
    legal_entity: str | None
    severity: str
    occurred_at: Moment
    recorded_at: Moment
    waiting_for: Annotated[list[str], Field(description="Subscribers that want it and do not have it yet")]


class SubscriberChangedView(View):
    name: str
    version: int


class SentAgainView(View):
    name: str
    from_seq: int
    version: int


class PingQueuedView(View):
    """It was taken when the subscriber's `sent_seq` is `seq` or more."""

    name: str
    seq: int


class Again(Body):
    """Exactly one of `seq` and `since`."""

    seq: Annotated[Number | None, Field(description="The number of an event")] = None
    since: AwareDatetime | None = None
    reason: Reason

    @model_validator(mode="after")
    def _one(self) -> "Again":
        if (self.seq is None) == (self.since is None):
            raise ValueError("give exactly one of seq and since")
        return self


_CHANGED: Final[dict[str, Any]] = {"response_model": SubscriberChangedView, "responses": problems(*EDITING)}


@routes.get("/subscribers", response_model=AllOf[SubscriberView], summary="List subscribers of outgoing events")
def list_subscribers(call: Administering) -> Response:
    return answer(AllOf[SubscriberView](items=_known(call)))


@routes.get("/subscribers/{name}", response_model=SubscriberView, responses=problems(404), summary="One subscriber")
def one_subscriber(call: Administering, name: Name) -> Response:
    for view in _known(call):
        if view.name == name:
            return answer(view, version=view.version)
    raise NotFound(f"there is no subscriber {name!r} within your reach")


@routes.get("/deliveries", response_model=PageOf[DeliveryView], summary="Outgoing events, newest first")
def list_deliveries(
    call: Administering,
    page: Annotated[Paging, Depends(paging)],
    type_prefix: Annotated[Text, Query(description="What the type begins with; `com.tieline.` may be left out")] = "",
    contract_id: Annotated[int | None, Query(ge=1, le=MOST_ID)] = None,
) -> Response:
    found = call.reads.deliveries(DeliveryFilter(type_prefix, contract_id), window=page.window)
    call.showed(row.contract_id for row in found.rows if row.contract_id is not None)
    return page.answer(found, DeliveryView)


@routes.post("/subscribers/{name}/pause", **_CHANGED, summary="Send it nothing for now; what comes waits")
def pause(call: Administering, name: Name, version: Version, body: Why, key: Key) -> Response:
    return done(
        call.carry_out(
            key,
            lambda act: subscribers.pause(act, name, body.reason, version=version),
            SubscriberChangedView.model_validate,
        )
    )


@routes.post("/subscribers/{name}/resume", **_CHANGED, summary="Go on where it stopped, at once")
def resume(call: Administering, name: Name, version: Version, key: Key) -> Response:
    return done(
        call.carry_out(
            key, lambda act: subscribers.resume(act, name, version=version), SubscriberChangedView.model_validate
        )
    )


@routes.post(
    "/subscribers/{name}/replay",
    response_model=SentAgainView,
    responses=problems(*EDITING),
    summary="Send events again, with their first ids",
)
def replay(call: Administering, name: Name, version: Version, body: Again, key: Key) -> Response:
    return done(
        call.carry_out(
            key,
            lambda act: subscribers.replay_from(
                act, name, body.reason, seq=body.seq, since=body.since, version=version
            ),
            SentAgainView.model_validate,
        )
    )


@routes.post(
    "/subscribers/{name}/test",
    response_model=PingQueuedView,
    responses=problems(*CHANGING, 404),
    summary="Send it a ping, after what waits already",
)
def test(call: Administering, name: Name, key: Key) -> Response:
    return done(call.carry_out(key, lambda act: subscribers.test(act, name), PingQueuedView.model_validate))


def _known(call: Call) -> list[SubscriberView]:
    return [SubscriberView.model_validate(one) for one in call.reads.subscribers()]

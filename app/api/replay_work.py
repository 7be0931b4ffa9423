"""What is done with replays: made, which previews them, confirmed, approved, and steered while they run."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any, Final

import orjson
from fastapi import Depends, Response

from app.api.answers import MoneyView, done
from app.api.calling import Call, calling
from app.api.conditions import once, read_version, surely_once
from app.api.inputs import Id, Why
from app.api.replay_views import (
    Confirmation,
    NewReplay,
    Rate,
    ReplayConfirmedView,
    ReplayMadeView,
    ReplayMovedView,
)
from app.api.routing import CHANGING, EDITING, problems, resource
from sync_core.authority import Permission
from sync_core.commands import replays
from sync_core.commands.desk import Act, Once
from sync_core.commands.named import contract_ids
from sync_core.commands.replays import ReplayConfirmed, ReplayMade, ReplayMoved
from sync_core.money import Money

routes = resource("replays")
Previewing = Annotated[Call, Depends(calling(Permission.REPLAY_PREVIEW))]
Executing = Annotated[Call, Depends(calling(Permission.REPLAY_EXECUTE))]
Approving = Annotated[Call, Depends(calling(Permission.REPLAY_APPROVE))]
Key = Annotated[Once | None, Depends(once)]
Version = Annotated[int | None, Depends(read_version)]

MADE: Final[dict[str, Any]] = {"response_model": ReplayMadeView, "status_code": HTTPStatus.CREATED}
_MOVED: Final[dict[str, Any]] = {"response_model": ReplayMovedView, "responses": problems(*EDITING)}


@routes.post("/replays", **MADE, responses=problems(*CHANGING, 404), summary="Make a replay: workers preview it")
def make(call: Previewing, body: NewReplay, key: Key) -> Response:
    """The list of contracts is frozen now; nothing is sent to an ERP before it is confirmed."""

    def work(act: Act) -> ReplayMade:
        selection = body.selection(contract_ids(act, body.contracts, Permission.REPLAY_PREVIEW))
        return replays.preview(act, selection, origin=body.origin, title=body.title)

    return made_replay(call, key, work)


@routes.post(
    "/replays/{replay_id}/offer-again",
    **MADE,
    responses=problems(*CHANGING, 404),
    summary="Make a new one of what changed, failed, mismatched, could not be verified or was cancelled",
)
def offer_again(call: Previewing, replay_id: Id, key: Key) -> Response:
    return made_replay(call, key, lambda act: replays.offer_again(act, replay_id))


@routes.post(
    "/replays/{replay_id}/confirm",
    response_model=ReplayConfirmedView,
    responses=problems(*EDITING),
    summary="Carry out what was previewed",
)
def confirm(
    call: Executing, replay_id: Id, version: Version, body: Confirmation, key: Annotated[Once, Depends(surely_once)]
) -> Response:
    """Above the estate's thresholds it then waits for the approval of another person."""
    currency = call.reads.reporting_currency

    def work(act: Act) -> ReplayConfirmed:
        only = None if body.only is None else contract_ids(act, body.only, Permission.REPLAY_EXECUTE)
        return replays.confirm(
            act, replay_id, reason=body.reason, ticket=body.ticket, per_minute=body.per_minute, only=only,
            version=version,
        )  # fmt: skip

    return done(call.carry_out(key, work, lambda made: _confirmed(made, currency)))


@routes.post("/replays/{replay_id}/approve", **_MOVED, summary="Approve it as the second person")
def approve(call: Approving, replay_id: Id, version: Version, body: Why, key: Key) -> Response:
    """409 for programs: a replay is approved by a person."""
    return _moved(call, key, lambda act: replays.approve(act, replay_id, reason=body.reason, version=version))


@routes.post("/replays/{replay_id}/refuse", **_MOVED, summary="Refuse it")
def refuse(call: Approving, replay_id: Id, version: Version, body: Why, key: Key) -> Response:
    return _moved(call, key, lambda act: replays.refuse(act, replay_id, reason=body.reason, version=version))


@routes.post("/replays/{replay_id}/pause", **_MOVED, summary="Dispatch nothing more for now")
def pause(call: Executing, replay_id: Id, version: Version, key: Key) -> Response:
    return _moved(call, key, lambda act: replays.pause(act, replay_id, version=version))


@routes.post("/replays/{replay_id}/resume", **_MOVED, summary="Go on after a pause")
def resume(call: Executing, replay_id: Id, version: Version, key: Key) -> Response:
    return _moved(call, key, lambda act: replays.resume(act, replay_id, version=version))


@routes.post("/replays/{replay_id}/rate", **_MOVED, summary="Change how many items are dispatched a minute")
def set_rate(call: Executing, replay_id: Id, version: Version, body: Rate, key: Key) -> Response:
    return _moved(call, key, lambda act: replays.set_rate(act, replay_id, body.per_minute, version=version))


@routes.post("/replays/{replay_id}/cancel", **_MOVED, summary="Do nothing more of it")
def cancel(call: Executing, replay_id: Id, version: Version, body: Why, key: Key) -> Response:
    """What a worker has in hand is finished."""
    return _moved(call, key, lambda act: replays.cancel(act, replay_id, reason=body.reason, version=version))


def made_replay(call: Call, key: Once | None, work: Callable[[Act], ReplayMade]) -> Response:
    """Of a command that makes a replay."""
    made = call.carry_out(key, work, ReplayMadeView.model_validate)
    where = {"location": f"/v1/replays/{orjson.loads(made.body)['replay_id']}"}
    return done(made, status=HTTPStatus.CREATED, headers=where)


def _moved(call: Call, key: Once | None, work: Callable[[Act], ReplayMoved]) -> Response:
    return done(call.carry_out(key, work, ReplayMovedView.model_validate))


def _confirmed(made: ReplayConfirmed, currency: str) -> ReplayConfirmedView:
    return ReplayConfirmedView(
        replay_id=made.replay_id,
        state=made.state,
        version=made.version,
        items=made.items,
        skipped=made.skipped,
        money=MoneyView.model_validate(Money(made.money, currency)),
        without_rate=made.without_rate,
        approval_why=made.approval_why,
    )

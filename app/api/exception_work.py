"""What is done with exceptions: one by its id with If-Match, or up to a thousand at once under an Idempotency-Key."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from fastapi import Depends, Response
from pydantic import Field, StringConstraints

from app.api.answers import View, done
from app.api.calling import Call, calling
from app.api.conditions import once, read_version, surely_once
from app.api.exception_views import ExceptionId
from app.api.inputs import NO_NUL, Body, Id, Number, Reason, Word
from app.api.routing import CHANGING, EDITING, problems, resource
from sync_core.authority import Permission
from sync_core.commands import cases
from sync_core.commands.chosen import MOST, CasesChanged
from sync_core.commands.desk import Act, Once
from sync_core.commands.words import LONGEST_COMMENT
from sync_core.errors import Function

routes = resource("exceptions")
Writing = Annotated[Call, Depends(calling(Permission.EXCEPTIONS_WRITE))]
Deciding = Annotated[Call, Depends(calling(Permission.EXCEPTIONS_DECIDE))]
Key = Annotated[Once | None, Depends(once)]
SureKey = Annotated[Once, Depends(surely_once)]
Version = Annotated[int | None, Depends(read_version)]


class RefusedView(View):
    """One that stayed as it was, and why."""

    exception_id: ExceptionId
    code: str
    words: str


class ExceptionsChanged(View):
    """Ids of those that were changed, and those that were not."""

    changed: list[int]
    refused: list[RefusedView]


class Assignment(Body):
    assignee: Annotated[Word | None, Field(description="A person's e-mail address; null: nobody", examples=["a@b.com"])]


class HandOver(Body):
    function: Annotated[Function, Field(description="Whose it shall be; their own time begins now")]
    reason: Reason


class Decision(Body):
    reason: Reason


class Comment(Body):
    text: Annotated[
        str,
        StringConstraints(min_length=1, max_length=LONGEST_COMMENT, pattern=NO_NUL),
        Field(description="Plain text; shown as it stands, never interpreted"),
    ]


class Chosen(Body):
    """One of many; with `version`, only if it still is that one."""

    exception_id: Number
    version: Annotated[int | None, Field(ge=1, le=2**31 - 1)] = None


class Many(Body):
    """Each one that can be changed is; the answer names the others."""

    exceptions: Annotated[list[Chosen], Field(min_length=1, max_length=MOST)]

    @property
    def ids(self) -> list[int]:
        return [one.exception_id for one in self.exceptions]

    @property
    def versions(self) -> Mapping[int, int]:
        return {one.exception_id: one.version for one in self.exceptions if one.version is not None}


class ManyAssigned(Many, Assignment):
    pass


class ManyHandedOver(Many, HandOver):
    pass


class ManyDecided(Many, Decision):
    pass


def _done(call: Call, key: Once | None, work: Callable[[Act], CasesChanged]) -> Response:
    return done(call.carry_out(key, work, ExceptionsChanged.model_validate))


_ONE: Final[dict[str, Any]] = {"response_model": ExceptionsChanged, "responses": problems(*EDITING)}
_MANY: Final[dict[str, Any]] = {"response_model": ExceptionsChanged, "responses": problems(*CHANGING, 404, 412)}


@routes.post("/exceptions/{exception_id}/assign", **_ONE, summary="Give it to a person, or to nobody")
def assign(call: Writing, exception_id: Id, version: Version, body: Assignment, key: Key) -> Response:
    return _done(call, key, lambda act: cases.assign(act, [exception_id], body.assignee, version=version))


@routes.post("/exceptions/{exception_id}/hand-over", **_ONE, summary="Hand it over to another function")
def hand_over(call: Writing, exception_id: Id, version: Version, body: HandOver, key: Key) -> Response:
    return _done(
        call, key, lambda act: cases.hand_over(act, [exception_id], body.function, body.reason, version=version)
    )


@routes.post("/exceptions/{exception_id}/acknowledge", **_ONE, summary="Say that somebody has seen it")
def acknowledge(call: Writing, exception_id: Id, version: Version, key: Key) -> Response:
    return _done(call, key, lambda act: cases.acknowledge(act, [exception_id], version=version))


@routes.post("/exceptions/{exception_id}/decide", **_ONE, summary="Close it by decision")
def decide(call: Deciding, exception_id: Id, version: Version, body: Decision, key: Key) -> Response:
    """It comes back only with a new event of its contract, or with other words."""
    return _done(call, key, lambda act: cases.decide(act, [exception_id], body.reason, version=version))


@routes.post(
    "/exceptions/{exception_id}/comments",
    response_model=ExceptionsChanged,
    responses=problems(*CHANGING, 404),
    summary="Comment on it",
)
def comment(call: Writing, exception_id: Id, body: Comment, key: Key) -> Response:
    """Needs no If-Match: a comment overwrites nothing. Closed exceptions take comments too."""
    return _done(call, key, lambda act: cases.comment(act, exception_id, body.text))


@routes.post("/exceptions/assign", **_MANY, summary="Assign many")
def assign_many(call: Writing, body: ManyAssigned, key: SureKey) -> Response:
    return _done(call, key, lambda act: cases.assign(act, body.ids, body.assignee, versions=body.versions))


@routes.post("/exceptions/hand-over", **_MANY, summary="Hand many over")
def hand_over_many(call: Writing, body: ManyHandedOver, key: SureKey) -> Response:
    return _done(
        call, key, lambda act: cases.hand_over(act, body.ids, body.function, body.reason, versions=body.versions)
    )


@routes.post("/exceptions/acknowledge", **_MANY, summary="Acknowledge many")
def acknowledge_many(call: Writing, body: Many, key: SureKey) -> Response:
    return _done(call, key, lambda act: cases.acknowledge(act, body.ids, versions=body.versions))


@routes.post("/exceptions/decide", **_MANY, summary="Close many by decision")
def decide_many(call: Deciding, body: ManyDecided, key: SureKey) -> Response:
    return _done(call, key, lambda act: cases.decide(act, body.ids, body.reason, versions=body.versions))

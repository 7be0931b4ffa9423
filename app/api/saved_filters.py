"""Saved filters of the list of exceptions: the caller's own, and those that others share."""

from http import HTTPStatus
from typing import Annotated, Final
from urllib.parse import quote

from fastapi import Depends, Response
from pydantic import Field

from app.api.answers import AllOf, View, answer, done
from app.api.calling import Call, calling
from app.api.conditions import once, read_version
from app.api.inputs import Body, IdText, Word
from app.api.routing import CHANGING, EDITING, problems, resource
from sync_core.authority import Actor, Permission
from sync_core.commands import cases
from sync_core.commands.desk import NotFound, Once
from sync_core.commands.words import LONGEST_NAME
from sync_core.reads.reads import Reads

routes = resource("exceptions")
Reading = Annotated[Call, Depends(calling(Permission.EXCEPTIONS_READ))]
Writing = Annotated[Call, Depends(calling(Permission.EXCEPTIONS_WRITE))]

_NEW: Final = 0  # the version of one that is not there yet


class FilterView(View):
    owner: str
    name: str
    query: dict[str, str]
    shared: bool
    version: int


class FilterSavedView(View):
    owner: str
    name: str
    version: int


class Query(Body):
    query: Annotated[
        dict[Word, Word],
        Field(max_length=cases.MOST_TERMS, description="As in the list's address", examples=[{"function": "tax"}]),
    ]
    shared: Annotated[bool, Field(description="Everybody sees it")] = False


class NewFilter(Query):
    name: Annotated[Word, Field(min_length=1, max_length=LONGEST_NAME)]


@routes.get("/exceptions/filters", response_model=AllOf[FilterView], summary="List saved filters")
def list_filters(call: Reading) -> Response:
    """The caller's own first."""
    return answer(AllOf[FilterView](items=_known(call.reads, call.actor)))


@routes.get(
    "/exceptions/filters/{name}", response_model=FilterView, responses=problems(404), summary="One of your own filters"
)
def one_filter(call: Reading, name: IdText) -> Response:
    view = _own(call.reads, call.actor, name)
    return answer(view, version=view.version)


@routes.post(
    "/exceptions/filters",
    response_model=FilterSavedView,
    status_code=HTTPStatus.CREATED,
    responses=problems(*CHANGING, 412),
    summary="Save a new filter",
)
def make(call: Writing, body: NewFilter, key: Annotated[Once | None, Depends(once)]) -> Response:
    """412 when you have one of this name already."""
    made = call.carry_out(
        key,
        lambda act: cases.save_filter(act, body.name, body.query, shared=body.shared, version=_NEW),
        FilterSavedView.model_validate,
    )
    where = {"location": f"/v1/exceptions/filters/{quote(body.name, safe='')}"}
    return done(made, status=HTTPStatus.CREATED, headers=where)


@routes.put(
    "/exceptions/filters/{name}",
    response_model=FilterSavedView,
    responses=problems(*EDITING),
    summary="Change one of your own filters",
)
def change(call: Writing, name: IdText, version: Annotated[int | None, Depends(read_version)], body: Query) -> Response:
    _own(call.api.reads, call.actor, name)  # whoever may write may not be one who reads
    changed = call.carry_out(
        None,
        lambda act: cases.save_filter(act, name, body.query, shared=body.shared, version=version),
        FilterSavedView.model_validate,
    )
    return done(changed)


@routes.delete(
    "/exceptions/filters/{name}",
    response_model=FilterSavedView,
    responses=problems(404),
    summary="Delete one of your own filters",
)
def delete(call: Writing, name: IdText) -> Response:
    return done(call.carry_out(None, lambda act: cases.delete_filter(act, name), FilterSavedView.model_validate))


def _known(reads: Reads, actor: Actor) -> list[FilterView]:
    return [FilterView.model_validate(one) for one in reads.saved_filters(actor.name)]


def _own(reads: Reads, actor: Actor, name: str) -> FilterView:
    for one in _known(reads, actor):
        if (one.owner, one.name) == (actor.name, name):
            return one
    raise NotFound(f"you have no filter {name[:100]!r}")

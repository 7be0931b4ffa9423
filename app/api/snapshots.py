"""Weekly snapshots: ask for one, see what became of it, take its files, compare two weeks. All of the whole group."""

from datetime import date
from http import HTTPStatus
from typing import Annotated, Final

import orjson
from fastapi import Depends, Path, Query, Response
from pydantic import AwareDatetime, BeforeValidator, Field, StringConstraints

from app.api.answers import Moment, PageOf, Paging, View, answer, done, paging
from app.api.calling import Call, calling
from app.api.conditions import once
from app.api.inputs import NO_NUL, Body, Id
from app.api.kpi_views import Number, number
from app.api.routing import CHANGING, problems, resource
from metrics import weeks
from metrics.kpi import Better, Unit
from metrics.snapshot.wording import window_before, window_name
from sync_core.authority import Permission
from sync_core.commands import snapshots
from sync_core.commands.desk import Act, NotFound, Once
from sync_core.reads.reads import Reads
from sync_core.reads.snapshots import KpiChange, SnapshotDiff

routes = resource("snapshots")
Reading = Annotated[Call, Depends(calling(Permission.SNAPSHOT_READ))]
Making = Annotated[Call, Depends(calling(Permission.SNAPSHOT_WRITE))]
Key = Annotated[Once | None, Depends(once)]
_WEEK: Final = Query(max_length=20, pattern=NO_NUL, examples=["2026-W47"], description="An ISO week")
Week = Annotated[str, _WEEK]
BINARY: Final = "application/octet-stream"


_JSON: Final = "application/json"
MEDIA_TYPES: Final = {
    "pdf": "application/pdf", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv", "parquet": "application/vnd.apache.parquet", "json": _JSON,
    "pem": "application/x-pem-file",
}  # fmt: skip


def media_type(name: str) -> str:
    return MEDIA_TYPES.get(name.rpartition(".")[2], BINARY)


def _week_text(given: object) -> object:
    return weeks.week_name(given) if isinstance(given, date) else given


class SnapshotView(View):
    """One that was asked for. `state`: asked, made or failed."""

    snapshot_id: int
    week: Annotated[str, BeforeValidator(_week_text), Field(examples=["2026-W47"])]
    state: str
    asked_at: Moment
    asked_by: str
    scheduled: bool
    wanted_as_of: Moment | None
    as_of: Annotated[Moment | None, Field(description="What was known then is in it; null: it is not made yet")]
    data_as_of: Moment | None
    restated_since: Annotated[Moment | None, Field(description="As of when the week was first reported, if earlier")]
    made_at: Moment | None
    release: str | None
    policy_version: str | None
    content_id: Annotated[str | None, Field(description="SHA-256 of manifest.json")]
    location: Annotated[str | None, Field(description="Where the command line wrote it; null: it is delivered")]
    error: str | None
    undelivered: int


class SnapshotFileView(View):
    name: str
    bytes: int
    sha256: str


class SnapshotDeliveryView(View):
    """One target. `delivered_at` null: it is tried again at `next_at`."""

    target: str
    attempts: int
    next_at: Moment | None
    delivered_at: Moment | None
    location: str | None
    error: str | None


class SnapshotDetailView(View):
    snapshot: SnapshotView
    files: list[SnapshotFileView]
    deliveries: list[SnapshotDeliveryView]


class NewSnapshot(Body):
    week: Annotated[
        Annotated[str, StringConstraints(max_length=20, pattern=NO_NUL)] | None,
        Field(description="Such as 2026-W47; the last that is over if left out"),
    ] = None
    as_of: Annotated[AwareDatetime | None, Field(description="What was known then; now if left out")] = None


class SnapshotAskedView(View):
    """A worker makes it within some seconds."""

    snapshot_id: int
    week: Annotated[str, Field(examples=["2026-W47"])]


class KpiChangeView(View):
    """`change` is `other` less `value`; after a changed definition the two do not mean the same. Null, too, where one
    is of a week and the other of the four weeks up to it, because the week alone had too few cases. `previous_change`
    is what the board pack of the second week says.
    """

    slug: str
    title: str
    unit: Unit
    better: Better
    value: Number
    other: Number
    change: Number
    n: int
    other_n: int
    version: int | None
    other_version: int | None
    definition_changed: bool
    of: Annotated[str, Field(description="What `value` is of: week, 4 weeks, state (as of the week's end), 13 weeks")]
    window: Annotated[str, Field(description="The same by name", examples=["4 weeks to 2026-W46"])]
    other_of: str
    other_window: str
    overlap: Annotated[bool, Field(description="Some weeks are in both windows, so that `change` is no trend")]
    previous: Annotated[Number, Field(description="What the second snapshot itself compares `other` with; null: "
                                      "nothing, or it was made before snapshots kept it")]  # fmt: skip
    previous_window: Annotated[str, Field(examples=["4 weeks to 2026-W43"])]
    previous_change: Number


class SnapshotDiffView(View):
    """The newest snapshots of two weeks."""

    week: str
    other_week: str
    snapshot_id: int
    other_id: int
    as_of: Moment
    other_as_of: Moment
    kpis: list[KpiChangeView]


@routes.post(
    "/snapshots",
    response_model=SnapshotAskedView,
    status_code=HTTPStatus.ACCEPTED,
    responses=problems(*CHANGING),
    summary="Have a snapshot made",
)
def make(call: Making, body: NewSnapshot, key: Key) -> Response:
    monday = None if body.week is None else weeks.monday_of(body.week)

    def work(act: Act) -> snapshots.SnapshotAsked:
        return snapshots.make(act, week=monday, as_of=body.as_of)

    asked = call.carry_out(key, work, _asked)
    address = f"/v1/snapshots/{orjson.loads(asked.body)['snapshot_id']}"
    return done(asked, status=HTTPStatus.ACCEPTED, headers={"location": address})


@routes.get("/snapshots", response_model=PageOf[SnapshotView], summary="List snapshots, last asked for first")
def list_snapshots(
    call: Reading, page: Annotated[Paging, Depends(paging)], week: Annotated[str | None, _WEEK] = None
) -> Response:
    found = call.reads.snapshots(None if week is None else weeks.monday_of(week), window=page.window)
    return page.answer(found, SnapshotView)


@routes.get("/snapshots/diff", response_model=SnapshotDiffView, responses=problems(404), summary="How two weeks differ")
def diff(call: Reading, week: Week, other: Week) -> Response:
    first, second = weeks.monday_of(week), weeks.monday_of(other, "other")
    return answer(diff_view(found_diff(call.reads, first, second)))


@routes.get(
    "/snapshots/{snapshot_id}",
    response_model=SnapshotDetailView,
    responses=problems(404),
    summary="One snapshot, its files and where it went",
)
def one_snapshot(call: Reading, snapshot_id: Id) -> Response:
    found = call.reads.snapshot(snapshot_id)
    if found is None:
        raise NotFound(f"there is no snapshot {snapshot_id}")
    return answer(SnapshotDetailView.model_validate(found))


@routes.get(
    "/snapshots/{snapshot_id}/files/{name}",
    response_class=Response,
    responses={
        200: {
            "description": "The file, as it was made",
            "content": {
                kind: {"schema": {"type": "object"} if kind == _JSON else {"type": "string", "format": "binary"}}
                for kind in sorted({*MEDIA_TYPES.values(), BINARY})
            },
        },
        **problems(404),
    },
    summary="One file of a snapshot; audited",
)
def one_file(
    call: Reading,
    snapshot_id: Id,
    name: Annotated[str, Path(max_length=100, pattern=NO_NUL, examples=["board-pack.pdf"])],
) -> Response:
    found = call.api.commands.snapshots.file(call.actor, snapshot_id, name)
    headers = {
        "cache-control": "no-store", "etag": f'"{found.sha256}"', "x-content-type-options": "nosniff",
        "content-disposition": f'attachment; filename="{found.name}"',
    }  # fmt: skip
    return Response(found.body, HTTPStatus.OK, headers, media_type(found.name))


def _asked(asked: snapshots.SnapshotAsked) -> SnapshotAskedView:
    return SnapshotAskedView(snapshot_id=asked.snapshot_id, week=weeks.week_name(asked.week))


def found_diff(reads: Reads, week: date, other: date) -> SnapshotDiff:
    """Raises NotFound that names the week without a snapshot."""
    found = reads.snapshot_diff(week, other)
    if found is not None:
        return found
    missing = [one for one in dict.fromkeys((week, other)) if reads.snapshot_diff(one, one) is None]
    names = " and none of ".join(map(weeks.week_name, missing))
    raise NotFound(f"no snapshot was made of {names}; make it first, then compare")


def diff_view(found: SnapshotDiff) -> SnapshotDiffView:
    return SnapshotDiffView(
        week=weeks.week_name(found.week),
        other_week=weeks.week_name(found.other_week),
        snapshot_id=found.snapshot_id,
        other_id=found.other_id,
        as_of=found.as_of,
        other_as_of=found.other_as_of,
        kpis=[_change(one, found) for one in found.kpis],
    )


def _change(one: KpiChange, found: SnapshotDiff) -> KpiChangeView:
    unit, currency = Unit(one.unit), found.currency
    return KpiChangeView(
        slug=one.slug, title=one.title, unit=unit, better=Better(one.better),
        value=number(one.value, unit, currency), other=number(one.other, unit, currency),
        change=number(one.change, unit, currency), n=one.n, other_n=one.other_n, version=one.version,
        other_version=one.other_version, definition_changed=one.definition_changed, of=one.of,
        other_of=one.other_of, window=window_name(one.of, found.week),
        other_window=window_name(one.other_of, found.other_week), overlap=one.overlap,
        previous=number(one.previous, unit, currency), previous_window=window_before(one.other_of, found.other_week),
        previous_change=number(one.previous_change, unit, currency),
    )  # fmt: skip

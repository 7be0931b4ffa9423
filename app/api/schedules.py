"""Scheduled jobs: how they go, and a run now, a pause, an end of it."""

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Depends, Path, Response
from pydantic import Field

from app.api.answers import AllOf, Moment, Seconds, View, answer, done
from app.api.calling import Call, calling
from app.api.conditions import read_version, surely_once
from app.api.inputs import NO_NUL, Why
from app.api.routing import CHANGING, EDITING, problems, resource
from sync_core.authority import Permission
from sync_core.commands import schedules
from sync_core.commands.desk import NotFound, Once

routes = resource("schedules")
Reading = Annotated[Call, Depends(calling(Permission.KPI_READ))]
Writing = Annotated[Call, Depends(calling(Permission.SCHEDULES_WRITE))]
SureKey = Annotated[Once, Depends(surely_once)]
Version = Annotated[int | None, Depends(read_version)]
Job = Annotated[str, Path(max_length=120, pattern=NO_NUL, examples=["measures"])]


class ScheduleView(View):
    """One job. `finished_at` null beside a start: it runs, or its host died."""

    job: str
    every: Seconds
    running: bool
    late: Annotated[bool, Field(description="It has not succeeded for several of its periods")]
    started_at: Moment | None
    finished_at: Moment | None
    outcome: str | None
    detail: str | None
    last_ok_at: Moment | None
    next_at: Annotated[Moment | None, Field(description="null: it is paused")]
    paused_at: Moment | None
    paused_by: str | None
    pause_reason: str | None
    wanted_at: Annotated[Moment | None, Field(description="Somebody asked for a run that has not begun yet")]
    wanted_by: str | None
    version: int


class ScheduleChangedView(View):
    job: str
    paused: bool
    wanted: bool
    version: int


_CHANGED: Final[dict[str, Any]] = {"response_model": ScheduleChangedView, "responses": problems(*EDITING)}


@routes.get("/schedules", response_model=AllOf[ScheduleView], summary="Scheduled jobs, by name")
def list_schedules(call: Reading) -> Response:
    return answer(AllOf[ScheduleView](items=_known(call)))


@routes.get("/schedules/{job}", response_model=ScheduleView, responses=problems(404), summary="One scheduled job")
def one_schedule(call: Reading, job: Job) -> Response:
    for view in _known(call):
        if view.job == job:
            return answer(view, version=view.version)
    raise NotFound(f"there is no scheduled job {job[:80]!r}")


@routes.post(
    "/schedules/{job}/run",
    response_model=ScheduleChangedView,
    status_code=HTTPStatus.ACCEPTED,
    responses=problems(*CHANGING, 404),
    summary="Run a job now, besides its timetable; refused while it runs",
)
def run_now(call: Writing, job: Job, body: Why, key: SureKey) -> Response:
    asked = call.carry_out(
        key, lambda act: schedules.run_now(act, job, body.reason), ScheduleChangedView.model_validate
    )
    return done(asked, status=HTTPStatus.ACCEPTED)


@routes.post("/schedules/{job}/pause", **_CHANGED, summary="Stop a job's timetable; what runs goes on")
def pause(call: Writing, job: Job, version: Version, body: Why, key: SureKey) -> Response:
    return done(
        call.carry_out(
            key,
            lambda act: schedules.pause(act, job, body.reason, version=version),
            ScheduleChangedView.model_validate,
        )
    )


@routes.post("/schedules/{job}/resume", **_CHANGED, summary="Let a paused job go on")
def resume(call: Writing, job: Job, version: Version, body: Why, key: SureKey) -> Response:
    return done(
        call.carry_out(
            key,
            lambda act: schedules.resume(act, job, body.reason, version=version),
            ScheduleChangedView.model_validate,
        )
    )


def _known(call: Call) -> list[ScheduleView]:
    return [ScheduleView.model_validate(one) for one in call.reads.schedules()]

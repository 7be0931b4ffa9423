"""The card of the scheduled jobs, and the dialog of one: its history, a run now, a pause."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from pages.kit import acting, data, filters, frame, grid
from pages.kit import format as fmt
from pages.kit.table import table
from pages.parts.platform import schedule_words as told
from sync_core.authority import Permission
from sync_core.commands.commands import Commands
from sync_core.commands.schedules import ScheduleChanged
from sync_core.reads import Reads
from sync_core.reads.schedules import Schedule

_ORDER: Final = ("Paused", "Failed", "Broken off", "Late", "Asked for")
_SHOWN: Final = 10
_WRITE: Final = Permission.SCHEDULES_WRITE


def card(reads: Reads) -> bool:
    """Drawn alone every some seconds; whether a run that was asked for is about to begin."""
    with frame.card(
        "schedules", "Scheduled jobs", "Run once over all hosts, by multiples of their period; tick a job to open it",
        definition="Late: it succeeded neither in this period nor in the two before it. Skipped: the run before was "
        "not over. Caught up once after downtime. Pausing stops the timetable alone.",
    ):  # fmt: skip
        jobs = data.schedules(reads)
        if not jobs:
            frame.empty("No job is declared yet.", "They appear when a worker starts.", icon=":material/event_repeat:")
            return False
        jobs = tuple(sorted(jobs, key=_first))
        ticked = grid.rows("schedules", _table(jobs), _columns(), alt="Scheduled jobs; tick one to open it")
        if ticked is not None:
            st.query_params["job"] = jobs[ticked].job
            st.rerun()
        if not _may():
            st.caption(":material/lock: An administrator with reach over all legal entities may run, pause and resume "
                       "them.")  # fmt: skip
        return is_awaited(reads)
    return False


def is_awaited(reads: Reads) -> bool:
    """Whether a run was asked for and has not begun."""
    return any(job.wanted_at is not None for job in data.schedules(reads))


def opened(reads: Reads, commands: Commands | None) -> None:
    """The job that the URL names, over the page."""
    asked = st.query_params.get("job", "")
    if not asked:
        return
    found = next((one for one in data.schedules(reads) if one.job == asked), None)
    if found is None:
        acting.said()
        st.info("There is no such scheduled job.")
        return
    dialog = st.dialog(told.title(found.job), width="large", on_dismiss=_close)
    dialog(lambda: _one(found, reads, commands))()


def _one(job: Schedule, reads: Reads, commands: Commands | None) -> None:
    acting.said()
    does = told.does(job.job)
    st.markdown(f"{fmt.plain(does)}{'.' if does else ''} Every {told.every(job.every)}; {_next(job)}.")
    st.caption(f"Job {fmt.code(job.job)}: {fmt.plain(told.state(job).lower())}. {fmt.plain(told.result(job))}")
    if commands is not None and _may():
        _form(job, commands)
    runs = reads.job_history(job.job)[:_SHOWN]
    if runs:
        st.markdown("**Last runs**")
        table("job_runs", ["Began", "Took", "Result", "What it did"], [
            [f"{run.started_at:%-d %b %H:%M:%S}", told.took(run.started_at, run.finished_at), told.outcome(run),
             told.detail(run)] for run in runs
        ])  # fmt: skip


def _form(job: Schedule, commands: Commands) -> None:
    with st.form("job", border=False):
        why = st.text_input("Reason", max_chars=2_000, placeholder="Kept in the audit",
                            key=f"job_why_{job.version}")  # fmt: skip
        with st.container(horizontal=True, gap="small"):
            run = st.form_submit_button("Run now", type="primary", icon=":material/play_arrow:",
                                        disabled=job.running or job.wanted_at is not None)  # fmt: skip
            if job.paused_at is None:
                turn = st.form_submit_button("Pause", icon=":material/pause:")
            else:
                turn = st.form_submit_button("Resume", icon=":material/event_repeat:")
    do, actor, name = commands.schedules, frame.actor(), told.title(job.job)
    if run:
        _carry_out(partial(do.run_now, actor, job.job, why), f"{name} was asked for; a worker begins within seconds.")
    elif turn and job.paused_at is None:
        _carry_out(partial(do.pause, actor, job.job, why, version=job.version), f"{name} is paused.",
                   stays=True)  # fmt: skip
    elif turn:
        _carry_out(partial(do.resume, actor, job.job, why, version=job.version), f"{name} goes on by its timetable.",
                   stays=True)  # fmt: skip


def _carry_out(do: Callable[[], ScheduleChanged], words: str, *, stays: bool = False) -> None:
    """`stays`: the dialog is drawn anew as the job then stands, so that it can be turned back at once."""
    done, why_not = acting.attempt(do, "The change")
    data.forget_schedules()
    if done is None:
        acting.why_not(why_not)
        return
    if not stays:
        filters.forget("job")
    acting.finish(words)


def _may() -> bool:
    """Jobs work for the whole firm: who reaches some legal entities only may not touch them."""
    return frame.may(_WRITE) and frame.actor().entities(_WRITE) is None


def _next(job: Schedule) -> str:
    if job.paused_at is not None:
        return "paused, so it does not run by itself"
    return f"next {job.next_at:%-d %b %H:%M:%S} UTC" if job.next_at else "no next run is known"


def _first(job: Schedule) -> tuple[int, str]:
    state = told.state(job)
    return (_ORDER.index(state) if state in _ORDER else len(_ORDER), told.title(job.job))


def _table(jobs: Sequence[Schedule]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "job": [told.title(job.job) for job in jobs],
            "state": [[told.state(job)] for job in jobs],
            "does": [told.does(job.job) for job in jobs],
            "every": [told.every(job.every) for job in jobs],
            "last": [job.started_at for job in jobs],
            "took": [told.took(job.started_at, job.finished_at) for job in jobs],
            "result": [told.result(job) for job in jobs],
            "next": [job.next_at for job in jobs],
        },
        index=range(len(jobs)),
    )


def _columns() -> dict[str, ColumnConfig]:
    column = st.column_config
    colours = {
        "Well": "green", "Failed": "red", "Broken off": "orange", "Late": "orange", "Paused": "gray",
        "Asked for": "blue", "Runs now": "blue", "Skipped": "gray", "Not run yet": "gray",
    }  # fmt: skip
    return {
        "job": column.TextColumn("Job", width=150, pinned=True),
        "state": column.MultiselectColumn("State", width=96, options=list(colours), color=list(colours.values())),
        "result": column.TextColumn("Last result", width=250),
        "last": column.DatetimeColumn("Last run, UTC", format="D MMM HH:mm:ss", timezone="UTC", width=128),
        "next": column.DatetimeColumn("Next run, UTC", format="D MMM HH:mm:ss", timezone="UTC", width=128),
        "every": column.TextColumn("Every", width=68, alignment="right"),
        "took": column.TextColumn("Took", width=68, alignment="right"),
        "does": column.TextColumn("What it does", width=400),
    }


def _close() -> None:
    filters.forget("job")

"""Governance: versions of events and who sends them, new fields, where each field goes, owners and releases."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import streamlit as st

from pages.kit import acting, filters, frame, tabs
from pages.kit.frame import Freshness, Page
from pages.parts.governance import fields, lineage, releases, schemas
from sync_core.authority import Permission
from sync_core.commands.commands import Commands
from sync_core.reads import Reads

PAGE = Page(
    title="Governance", icon=":material/schema:", path="governance", order=85, section="More",
    needs=Permission.KPI_READ,
)  # fmt: skip

_COUNTED: Final = timedelta(minutes=1)  # how often use is counted
_JOB: Final = "schemas"  # counts it


class Section(StrEnum):
    VERSIONS = "versions"
    FIELDS = "fields"
    LINEAGE = "lineage"
    RELEASES = "releases"


_TITLES: Final = {
    Section.VERSIONS: "Versions of events", Section.FIELDS: "New fields", Section.LINEAGE: "Field lineage",
    Section.RELEASES: "Owners and releases",
}  # fmt: skip


def render(reads: Reads, commands: Commands | None) -> None:
    now, may = reads.now, frame.may(Permission.KPI_READ)
    counted = _counted(reads) if may else None
    scope = "What systems say to each other, who owns it, and what is about to change; days in UTC."
    scope += "" if counted or not may else " Use was not counted yet: no worker has done so."
    frame.header("Governance", scope, Freshness(counted or now, now, _COUNTED))
    if not may:
        frame.forbidden(Permission.KPI_READ)
        return
    section = _section()
    filters.unknown()
    acting.said()
    with frame.contained("The headline"):
        frame.headline(schemas.headline(reads))
    _tabs(section)
    match section:
        case Section.VERSIONS:
            schemas.draw(reads, commands)
        case Section.FIELDS:
            fields.draw(reads, commands)
        case Section.LINEAGE:
            lineage.draw(reads.estate.ownership)
        case Section.RELEASES:
            releases.draw(reads)


def _counted(reads: Reads) -> datetime | None:
    """When use was counted last; None: it never was."""
    return next((job.last_ok_at for job in reads.schedules() if job.job == _JOB), None)


def _section() -> Section:
    """It stands in the URL."""
    asked = st.query_params.get("section", "")
    known = {one.value for one in Section}
    if asked and asked not in known:
        filters.left_out("Section", asked)
    return Section(asked) if asked in known else Section.VERSIONS


def _tabs(current: Section) -> None:
    first = Section.VERSIONS
    views = {one.value: tabs.Tab(_TITLES[one], None, {"section": "" if one is first else one.value}) for one in Section}
    tabs.draw("Part of the page", views, current=current.value)

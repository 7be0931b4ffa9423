"""What each scheduled job does, how often, and how it stands, in words."""

from datetime import datetime, timedelta
from typing import Final

from pages.kit import format as fmt
from sync_core.reads.schedules import JobRun, Schedule

_DOES: Final = {
    "announce-late-amendments": ("Late amendments", "Tells subscribers of amendments that will miss their bill run"),
    "announce-objectives": ("Broken promises", "Tells subscribers and notification rules when a promise breaks"),
    "announce-fields": ("New fields", "Tells subscribers of fields of events that no schema here knows"),
    "announce-overdue": ("Overdue exceptions", "Tells subscribers of exceptions whose time is up"),
    "announce-renewals": ("Renewals", "Tells subscribers of contracts that end soon"),
    "audit-verify": ("Audit chain", "Verifies the whole audit chain and signs a checkpoint"),
    "connectors": ("Connectors", "Asks the ERPs whether their answers hold what the connectors need"),
    "forget-events": ("Old deliveries", "Forgets messages to subscribers that are kept no longer"),
    "housekeeping": ("Housekeeping", "Forgets old sign-ins and old runs of these jobs"),
    "identity": ("Sign-ins", "Sums up refused sign-ins for the audit; forgets what has expired"),
    "measures": ("Measures", "Takes what changed into the KPIs"),
    "objectives": ("Promises", "Looks at every service-level objective"),
    "releases": ("Releases", "Asks the ERPs, the CLMs and the database which release they run"),
    "release-quarantine": ("Quarantine", "Takes quarantined events up again once they are understood"),
    "schemas": ("Schemas", "Counts who sends which version of events, and fields that are new"),
    "snapshot": ("Weekly snapshot", "Asks for the snapshot of the week that ended, once"),
    "snapshot-delivery": ("Snapshot delivery", "Brings snapshots to their targets"),
    "snapshot-making": ("Snapshot making", "Makes the snapshots that were asked for"),
    "telemetry": ("Telemetry", "Counts calls and attempts; samples backlog, lanes and database"),
    "telemetry-months": ("Telemetry months", "Opens tables for months to come, drops those kept no longer"),
}
_OF_ONE: Final = {
    "poll": ("Poll {}", "Reads the CLM's own feed, which finds what its webhooks lost"),
    "drift": ("Watch over {}", "Compares contracts that nothing happens to with their CLM and their ERP"),
    "references": ("Master data of {}", "Reads what validations answer from, before it is too old"),
    "master-data": ("Customers of {}", "Reads which customers and legal entities master data changed"),
    "financial-status": ("Books of {}", "Reads invoices, payments, disputes and revenue from the ERP"),
}
_OUTCOMES: Final = {"ok": "Well", "failed": "Failed", "skipped": "Skipped"}


def title(job: str) -> str:
    return _known(job)[0]


def does(job: str) -> str:
    """What for; "" for a job that this release does not know."""
    return _known(job)[1]


def every(period: timedelta) -> str:
    """15 s, 1 min, 1 h, 1 d."""
    for unit, words in ((timedelta(days=1), "d"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "min")):
        if period >= unit and not period % unit:
            return f"{period // unit} {words}"
    return f"{period.total_seconds():g} s"


def state(one: Schedule) -> str:
    """In the order of what a reader has to know."""
    if one.paused_at is not None:
        return "Paused"
    if one.wanted_at is not None:
        return "Asked for"
    if one.running:
        return "Runs now"
    if one.late and one.outcome != "failed":
        return "Late"
    if one.outcome is None:
        return "Not run yet" if one.started_at is None else "Broken off"
    return _OUTCOMES.get(one.outcome, one.outcome)


def result(one: Schedule) -> str:
    """What the last run said of itself, or why there is none."""
    if one.paused_at is not None:
        return f"{one.pause_reason or ''} ({one.paused_by}, {fmt.moment(one.paused_at)})"
    if one.started_at is None:
        return "It did not run yet"
    if one.finished_at is None:
        return "It runs" if one.running else "Its host ended in the middle of it; the next run goes on"
    return _sentence(one.detail or "")


def took(started_at: datetime | None, finished_at: datetime | None) -> str:
    if started_at is None or finished_at is None:
        return ""
    s = (finished_at - started_at).total_seconds()
    return f"{s:.1f} s" if s < 59.95 else fmt.duration(timedelta(seconds=s))


def outcome(run: JobRun) -> str:
    return _OUTCOMES.get(run.outcome or "", "Not ended" if run.outcome is None else run.outcome)


def detail(run: JobRun) -> str:
    return _sentence(run.detail or "")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _known(job: str) -> tuple[str, str]:
    if job in _DOES:
        return _DOES[job]
    family, _, of = job.partition(":")
    name, words = _OF_ONE.get(family, (job, ""))
    return name.format(of) if of else name, words

"""What the pages of a site show of one thing, beside their lists: each kind of it, made here.

Every function of these returns addresses of the dashboard, without the host and the first slash.
"""

import json
from datetime import datetime, timedelta

import sqlalchemy as sa

from metrics import weeks
from sync_core.authority import person
from sync_core.clock import SystemClock, VirtualClock
from sync_core.commands.commands import Commands
from sync_core.events import PREFIX
from tests import rows
from tests.commands import people
from tests.metrics.snapshot.firm import Firm
from tests.metrics.support import caught_up
from tests.pages import repair, running, test_case_conflict, test_drift, test_governance, test_moves
from tests.reads.handmade import add_case, add_contract, add_event, insert
from tests.sows import signed


def lived(engine: sa.Engine, now: datetime) -> None:
    """The firm has run for a while: its measures are of now, and a week has its snapshot."""
    running.ran(engine, now=now)
    running.scheduled(engine, now=now)
    one = Firm(engine, VirtualClock(now), rows.estate())
    caught_up(engine, one.clock, one.estate)
    week = weeks.last_ended(now, one.estate.group.timezone)
    for ended in (week - timedelta(days=7), week):
        one.ask(week=ended)
        if one.maker.make_next() is None:
            raise AssertionError(f"no snapshot was made of {ended}")


def details(engine: sa.Engine) -> tuple[list[str], list[tuple[str, str]]]:
    """The addresses, and where a dialog can be opened: an address and the button of it."""
    commands = Commands(engine, clock=SystemClock(), estate=rows.estate())
    moved = test_moves.previewed(engine, test_moves.contract(engine, "MV-1"))  # before any other replay is made
    case = repair.correctable(engine)
    with engine.connect() as conn:
        stuck = list(conn.scalars(sa.text("SELECT contract_id FROM core.contract WHERE state = 'blocked' LIMIT 4")))
        told = conn.scalar(sa.text("SELECT contract_id FROM core.financial_fact ORDER BY 1 LIMIT 1"))
    add_case(engine, stuck[0], "approval_needed", error_class="policy_denied", function="finance_operations")
    operator = person("tess@example.com", ["operator"])
    previewed = repair.previewed(commands, operator, stuck)
    ended = repair.previewed(commands, operator, stuck[:1])
    repair.ended(engine, ended, verified=1)
    commands.cases.comment(people.TAX, case, "I have asked them")
    shown = [
        f"exceptions?case={case}", "exceptions?view=quarantine", "exceptions?q=no+such", f"contract?id={told}",
        f"contract?id={stuck[0]}", f"replay?replay={previewed}", f"replay?replay={ended}", "audit?row=1",
        "exceptions?view=analysis", *(f"platform?section={part}" for part in ("calls", "work", "house", "jobs")),
        "snapshots?view=compare", f"moves?replay={moved}", *owned(engine), *planned(engine),
    ]  # fmt: skip
    return shown, [("approvals", "Approve…"), (f"replay?replay={previewed}", f"Replay {len(stuck)} contracts…")]


def owned(engine: sa.Engine) -> list[str]:
    """Whose word counts: both cards of a decision, differences, and amendments of a contract."""
    conflict, alike = test_case_conflict.two_values(engine, part="design"), test_case_conflict.much_alike(engine)
    watched = test_drift.add_watched(engine)
    test_drift.add_drift(engine, watched)
    return [
        f"exceptions?case={conflict}", f"exceptions?case={alike}", "exceptions?view=drift", f"contract?id={watched}",
        f"contract?id={amended(engine)}&view=amendments",
    ]  # fmt: skip


def amended(engine: sa.Engine) -> int:
    """A contract with an amendment; its id."""
    header = {"number": 1, "executed_at": "2026-11-02T10:00:00Z", "summary": "The go-live is later"}
    later = {"key": "golive", "name": "Go-live", "amount": "15000.00", "due_on": "2026-10-30", "line": "1"}
    changes = {"milestones": [later], "po_number": "PO-78"}
    data = {"contract_id": "AM-1", "revision": 2, "amendment": header, "changes": changes}
    add_event(engine, "AM-1", f"{PREFIX}signed.v1", json.dumps(signed("AM-1")))
    add_event(engine, "AM-1", f"{PREFIX}amended.v1", json.dumps(data))
    return add_contract(engine, external_id="AM-1", took=1)


def planned(engine: sa.Engine) -> list[str]:
    """What is to come: renewals, another policy on its page, and each part of governance."""
    due = SystemClock().now().date() + timedelta(days=20)
    add_contract(engine, took=1, renewal="automatic", notice_by=due, renewal_due=due, renews_on=due)
    test_governance.wait_for_a_schema(engine, "V-1")
    test_governance.drifted(engine, "terms.risk")
    insert(engine, "estate_version", digest="e", body="", activated_at=rows.NOW)
    insert(engine, "policy", version="v1", body="", estate="e", activated_at=rows.NOW, activated_by="tieline")
    insert(
        engine, "policy_proposal", version="v2", body="[[route]]", before="v1", reason="the cloud is given up",
        proposed_by="ada@example.com", proposed_at=rows.NOW, tested_since=rows.NOW, tested=9, unreadable=0,
        changed=[], effects='{"route": 3}', second_person="it moves 3 contracts", state="proposed",
    )  # fmt: skip
    sections = ("fields", "lineage", "releases")
    return ["contracts?view=renewals", *(f"governance?section={one}" for one in sections)]

"""What a run keeps of what it saw and did: objects of ours, parts that it closed, and when all was there. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sync_core.desired import Desired, Found, Kind
from sync_core.engine.outcome import Done, Outcome
from sync_core.journal.progress import Step
from sync_core.keys import BusinessKey, ErpRef
from sync_core.plan import Action
from sync_core.ports import Observation


def remember(
    outcome: Outcome, desired: Desired, observed: Observation, kept: Mapping[tuple[Kind, BusinessKey], ErpRef]
) -> None:
    """The crosswalk's new rows: our objects as the ERP holds them now. `kept`: which one of doubles is ours."""
    wanted = {(o.kind, o.key) for o in desired.objects}
    latest: dict[tuple[Kind, BusinessKey], Found] = {}
    for found in observed.found:
        at = (found.kind, found.key)
        # What was invoiced and is no longer in the contract stays ours to know.
        ours = at in wanted or (found.billed and found.kind is Kind.MILESTONE)
        if found.active and ours and (at not in latest or kept.get(at) == found.ref):
            latest[at] = found
    outcome.confirmed = list(latest.values())


def closed(outcome: Outcome, desired: Desired) -> list[Found]:
    """Parts that this run closed because the contract has them no more. A project's row says where it stood."""
    wanted = {(o.kind, o.key) for o in desired.objects}
    gone = [done for done in outcome.operations if done.action == Action.CLOSE and done.status == "done"]
    return [
        Found(Kind(done.kind), done.key, ErpRef(done.ref), done.before or {}, active=False)
        for done in gone
        if done.ref and done.kind != Kind.PROJECT and (Kind(done.kind), done.key) not in wanted
    ]


def built(operations: Sequence[Done], now: datetime) -> list[tuple[Step, datetime]]:
    """When the project and its billing were there: the end of the operation that made them, or the read-back."""
    project = [o.finished_at for o in operations if o.kind == Kind.PROJECT and o.action == Action.CREATE]
    parts = [o.finished_at for o in operations if o.kind in (Kind.MILESTONE, Kind.LABOUR_RATE) and o.status == "done"]
    return [(Step.PROJECT_CREATED, max(project, default=now)), (Step.BILLING_SET_UP, max(parts, default=now))]

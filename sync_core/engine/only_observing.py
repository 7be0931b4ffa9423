"""A run or a preview whose ERP is only observed: what would be done is kept and told, and nothing is written."""

from datetime import datetime

from sync_core.engine.claim import Claimed, Loaded
from sync_core.engine.look import Intent, Sight, local_day
from sync_core.engine.outcome import RECHECK_CONTRACT, Outcome
from sync_core.engine.replayed import depart
from sync_core.estate.estate import Estate
from sync_core.findings import Finding
from sync_core.journal.progress import Step
from sync_core.moving.observing import Came, Observed, observed, stops


def only_observed(intent: Intent, sight: Sight, estate: Estate) -> Observed | None:
    """None: go on."""
    return observed(estate.erps.get(intent.lane), sight.plan, sight.findings, _came(intent, estate))


def watch(
    only: Observed,
    claimed: Claimed,
    loaded: Loaded,
    outcome: Outcome,
    now: datetime,
    *,
    refused: Finding | None = None,
) -> None:
    """What would be done is kept; `refused` is the exception of a contract that was looked for there in vain."""
    if depart([only.why], claimed, loaded, outcome, now):
        return
    outcome.observed, outcome.state, outcome.next_due = only, "waiting", now + RECHECK_CONTRACT
    if refused is not None:
        outcome.findings.append(refused)
        outcome.name, outcome.state = "blocked", "blocked"
        outcome.steps += [] if claimed.state == "blocked" else [(Step.BLOCKED, now)]


def withheld(intent: Intent, sight: Sight, estate: Estate) -> tuple[Finding, ...]:
    """What the preview of a replay or a move says of it."""
    return stops(estate.erps.get(intent.lane), sight.plan, _came(intent, estate))


def _came(intent: Intent, estate: Estate) -> Came:
    contract, placement = intent.contract, intent.placement
    signed_on = local_day(contract, estate, contract.signed_at) if contract.signed_at else None
    return Came(signed_on, moved=placement is not None and bool(placement.behind))

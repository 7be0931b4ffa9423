"""From an error to what happens next: one place that knows what each class of trouble means for a contract."""

import random
import traceback
from dataclasses import dataclass
from datetime import datetime, timedelta

from sync_core.checks import Finding
from sync_core.engine.apply import SharedPending
from sync_core.engine.outcome import MAX_ATTEMPTS, Outcome, recheck_at, retry_at
from sync_core.errors import (
    ErpRateLimited,
    ErpUnavailable,
    ErrorClass,
    Function,
    LeaseLost,
    ReadBackMismatch,
    TielineError,
)
from sync_core.journal.progress import Step

REFUSED_LAST = timedelta(hours=8)
REFUSALS = 3
SHARED_WAIT = timedelta(milliseconds=300)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the error says about the lane, beside what `judge` wrote into the outcome."""

    words: str
    lane_trouble: bool = False  # counts against the ERP's breaker
    pause_lane: bool = False  # a person must act before anything is sent again


def judge(wrong: Exception, outcome: Outcome, settle_s: float, now: datetime, chance: random.Random) -> Verdict:
    """Decide state, due time and attempt of the run that `wrong` ended."""
    error_class = wrong.error_class if isinstance(wrong, TielineError) else ErrorClass.INTERNAL
    outcome.error_class, outcome.error = error_class, str(wrong) or type(wrong).__name__
    outcome.name = "retry"
    match wrong:
        case LeaseLost():
            outcome.name, outcome.refund, outcome.next_due = "lost", True, now
            return Verdict(str(wrong))
        case SharedPending():
            outcome.refund, outcome.next_due = True, now + SHARED_WAIT
            return Verdict(str(wrong))
        case ErpRateLimited():
            outcome.refund, outcome.next_due = True, now + timedelta(seconds=wrong.retry_after_s)
            return Verdict(str(wrong))
        case ErpUnavailable():
            return _unavailable(outcome, str(wrong), now, chance)
    match error_class:
        case ErrorClass.CREDENTIALS | ErrorClass.SCHEMA_UNKNOWN:
            return _lane_refuses(outcome, str(wrong), error_class, now)
        case ErrorClass.ERP_REJECTED:
            return _refused(outcome, str(wrong), now)
        case ErrorClass.AMBIGUOUS:
            # A read-back that found something else is known; only an unanswered write may still land.
            outcome.unclean = settle_s > 0 and not isinstance(wrong, ReadBackMismatch)
            return _ambiguous(outcome, wrong, settle_s, now, chance)
    return _failed(outcome, wrong, now, chance)


def _unavailable(outcome: Outcome, words: str, now: datetime, chance: random.Random) -> Verdict:
    # An outage is the lane's trouble: the contract keeps its place and its attempts.
    outcome.refund = True
    outcome.next_due = now + timedelta(seconds=chance.uniform(0.1, 1.0))
    return Verdict(words, lane_trouble=True)


def _lane_refuses(outcome: Outcome, words: str, error_class: ErrorClass, now: datetime) -> Verdict:
    """The lane pauses; a contract that is refused again and again while probes are good is itself the trouble."""
    if outcome.claimed.attempt < REFUSALS:
        outcome.name, outcome.next_due = "lane_down", outcome.claimed.due_at
        return Verdict(words, lane_trouble=True, pause_lane=True)
    _block(outcome, Finding(error_class, f"erp_{error_class}", Function.INTEGRATION, words), now)
    return Verdict(words)


def _ambiguous(outcome: Outcome, wrong: Exception, settle_s: float, now: datetime, chance: random.Random) -> Verdict:
    words = str(wrong)
    if outcome.claimed.attempt >= MAX_ATTEMPTS:
        return _set_aside(outcome, ErrorClass.AMBIGUOUS, "outcome_unknown", words, now)
    settled = now + timedelta(seconds=settle_s)
    outcome.next_due = max(settled, retry_at(now, outcome.claimed.attempt - 1, chance.random()))
    # An ERP that answers but holds something else is reachable: no reason to stop its lane for all.
    return Verdict(words, lane_trouble=not isinstance(wrong, ReadBackMismatch))


def _refused(outcome: Outcome, words: str, now: datetime) -> Verdict:
    _block(outcome, Finding(ErrorClass.ERP_REJECTED, "erp_rejected", Function.FINANCE_OPERATIONS, words), now)
    return Verdict(words)


def _block(outcome: Outcome, finding: Finding, now: datetime) -> None:
    outcome.findings.append(finding)
    outcome.name, outcome.state = "blocked", "blocked"
    was_blocked = outcome.claimed.state == "blocked"
    # Asking again is a write: ever more rarely, and a person or a new event may ask sooner.
    outcome.next_due = recheck_at(now, outcome.claimed.state_since if was_blocked else now, last=REFUSED_LAST)
    outcome.steps += [] if was_blocked else [(Step.BLOCKED, now)]


def _failed(outcome: Outcome, wrong: Exception, now: datetime, chance: random.Random) -> Verdict:
    words = "".join(traceback.format_exception(wrong)[-6:]) if not isinstance(wrong, TielineError) else str(wrong)
    if outcome.claimed.attempt >= MAX_ATTEMPTS:
        return _set_aside(outcome, ErrorClass.INTERNAL, "internal", words, now)
    outcome.next_due = retry_at(now, outcome.claimed.attempt, chance.random())
    return Verdict(str(wrong))


def _set_aside(outcome: Outcome, error_class: ErrorClass, cause: str, words: str, now: datetime) -> Verdict:
    outcome.name, outcome.state, outcome.next_due = "failed", "set_aside", None
    outcome.findings.append(Finding(error_class, cause, Function.INTEGRATION, words))
    outcome.steps.append((Step.BLOCKED, now))
    return Verdict(words)

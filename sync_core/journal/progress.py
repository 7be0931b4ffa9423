"""The steps that a contract passes, as core.progress records them: the facts of the business KPIs.

`signed` and `captured` differ: a contract is signed when its last party signs, captured when we recorded the event.
`blocked` and `unblocked` may come often; the six of `FUNNEL` come once for the contract and once per amendment.
"""

from enum import StrEnum


class Step(StrEnum):
    """What a contract reached."""

    SIGNED = "signed"  # occurred_at is the last signature
    CAPTURED = "captured"  # the event was recorded
    VALIDATED = "validated"  # every pre-check passed
    PROJECT_CREATED = "project_created"
    BILLING_SET_UP = "billing_set_up"
    ACTIVE = "active"  # billable, confirmed by read-back
    BLOCKED = "blocked"
    UNBLOCKED = "unblocked"
    ENDED = "ended"


FUNNEL = (
    Step.SIGNED,
    Step.CAPTURED,
    Step.VALIDATED,
    Step.PROJECT_CREATED,
    Step.BILLING_SET_UP,
    Step.ACTIVE,
)


class State(StrEnum):
    """Where a contract stands in the engine (core.contract.state)."""

    DRAFT = "draft"
    WAITING = "waiting"
    BLOCKED = "blocked"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    ENDED = "ended"
    SET_ASIDE = "set_aside"

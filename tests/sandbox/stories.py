"""Plays the made-up portfolio into the sandbox CLM and reads it back."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import orjson

from app.sandbox.clm.app import SandboxClm
from app.sandbox.clm.changes import Change, ChangeKind, DeliveryFault, Repeat
from app.sandbox.clm.server import build
from app.sandbox.portfolio.defects import TREATMENTS, Defect
from app.sandbox.portfolio.open_work import Trouble, trouble
from app.sandbox.portfolio.plan import Portfolio, plan, sequel
from app.sandbox.portfolio.steps import Step
from sync_core.clock import VirtualClock
from sync_core.contract import Contract
from sync_core.events import REGISTRY, Event, understand
from tests.folds import fold

START, END = datetime(2025, 11, 24, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)
CONTRACTS = 700


def play(steps: Iterable[Step]) -> SandboxClm:
    clock = VirtualClock(START)
    clm = build(clock, seed=11, token="t")
    for step in steps:
        clock.advance_to(step.at)
        if isinstance(step.action, (Change, Repeat, DeliveryFault)):
            clm.perform(step.action)
    return clm


def read(feed: Sequence[bytes]) -> dict[str, list[Event]]:
    """The events by contract; those of unknown type are left out."""
    contracts: dict[str, list[Event]] = defaultdict(list)
    for raw in feed:
        e = orjson.loads(raw)
        if e["type"] in REGISTRY:
            payload = understand(e["type"], orjson.dumps(e["data"]))
            event = Event(e["source"], e["id"], e["type"], datetime.fromisoformat(e["time"]), payload)
            contracts[payload.contract_id].append(event)
    return contracts


def contracts_of(played: SandboxClm) -> list[Contract]:
    return [fold(events) for events in read(played.store.feed).values()]


def defect_of(steps: list[Step]) -> dict[str, Defect]:
    return {step.contract_id: step.defect for step in steps if step.defect}


def signings(steps: list[Step]) -> list[Step]:
    """First signatures, unreadable ones included."""
    seen: dict[str, Step] = {}
    for step in steps:
        if isinstance(step.action, Change) and step.action.kind is ChangeKind.SIGNED:
            seen.setdefault(step.contract_id, step)
    return list(seen.values())


def types_of(steps: list[Step]) -> dict[str, list[str]]:
    """What the CLM has published after these steps."""
    told: dict[str, list[str]] = {}
    for step in steps:
        if isinstance(step.action, Change):
            told.setdefault(step.contract_id, []).append(step.action.event_type)
    return told


def troubles(portfolio: Portfolio) -> dict[str, tuple[Trouble, str]]:
    """By contract: its exception and the exception's cause, from what is told before the end and after."""
    before = list(plan(portfolio))
    stories: dict[str, list[Step]] = {}
    for step in [*before, *sequel(portfolio, types_of(before))]:
        stories.setdefault(step.contract_id, []).append(step)
    found: dict[str, tuple[Trouble, str]] = {}
    for contract_id, steps in stories.items():
        each = trouble(0, steps)
        if each is not None and each.opens_at < portfolio.end:
            defect = next(step.defect for step in steps if step.defect)
            found[contract_id] = each, TREATMENTS[defect].cause or ""
    return found

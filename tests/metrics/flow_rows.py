"""Test only: contracts on their way, as single rows with the moments that a test names."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import count
from typing import Any

import orjson
import sqlalchemy as sa

from metrics.asking import Ask, By, Window
from metrics.kpi import Result
from metrics.measures import Measures
from sync_core.clock import VirtualClock
from sync_core.estate.estate import load
from tests.metrics.support import caught_up
from tests.reads.handmade import add_contract, add_event, insert
from tests.rows import ESTATE_TEXT, NOW

# Germany keeps its public holidays, the other entities of tests/rows.py keep none.
ESTATE = load(ESTATE_TEXT.replace('erp = "legacy"\n', 'erp = "legacy"\nworking_time = { country = "DE" }\n', 1))
WINDOW = Window.weeks(NOW, "Europe/London", 60)
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Made:
    contract_id: int
    external_id: str


def made(
    engine: sa.Engine,
    signed: datetime | None,
    active: datetime | None = None,
    *,
    entity: str = "GB01",
    **columns: object,
) -> Made:
    """A contract, without any steps or events."""
    name = f"F-{next(_numbers)}"
    state = "draft" if signed is None else "waiting" if active is None else "active"
    values: dict[str, object] = {
        "external_id": name, "legal_entity": entity, "state": state, "signed_at": signed, "first_active_at": active,
        "active_at": active, "received_at": signed or NOW, "state_since": active or signed or NOW,
        "billing": "milestones",
    }  # fmt: skip
    return Made(add_contract(engine, signed=None, took=None, **(values | columns)), name)


def step(engine: sa.Engine, contract: Made, name: str, at: datetime, amendment: int | None = None) -> None:
    insert(engine, "progress", contract_id=contract.contract_id, step=name, occurred_at=at, recorded_at=at,
           amendment=amendment)  # fmt: skip


def said(engine: sa.Engine, contract: Made, what: str, at: datetime, **data: object) -> None:
    """One event, received at that moment."""
    whole = {"contract_id": contract.external_id, **data}
    add_event(engine, contract.external_id, f"com.tieline.contract.{what}.v1", orjson.dumps(whole).decode(), at=at)


def amended(
    engine: sa.Engine,
    contract: Made,
    number: int,
    executed: datetime,
    *,
    received: datetime | None = None,
    revision: int | None = None,
    value: Decimal | None = None,
    effective: date | None = None,
) -> None:
    changes = {"po_number": "PO-2"} if value is None else {"value": str(value)}
    header = {"number": number, "executed_at": executed.isoformat()}
    if effective is not None:
        header["effective_on"] = effective.isoformat()
    said(engine, contract, "amended", received or executed, revision=revision or number + 1, amendment=header,
         changes=changes)  # fmt: skip


def ran(engine: sa.Engine, contract: Made, started: datetime, finished: datetime, *, rev: int, state: str) -> None:
    """A run that found everything as wanted."""
    insert(engine, "run", run_id=f"00000000-0000-0000-0000-{next(_numbers):012d}", contract_id=contract.contract_id,
           rev=rev, lane="cloud", outcome="converged", state=state, correlation_id="k", started_at=started,
           finished_at=finished, recorded_at=finished)  # fmt: skip


def asked(engine: sa.Engine, clock: VirtualClock, slug: str, by: By | None = None) -> Result:
    """After a refresh; what it was as of then must be the same."""
    done = caught_up(engine, clock, ESTATE)
    measures = Measures(engine, clock=clock, estate=ESTATE)
    latest, past = measures.kpi(slug, Ask(WINDOW), by), measures.kpi(slug, Ask(WINDOW, as_of=done.at), by)
    assert (latest.answer, latest.parts) == (past.answer, past.parts)
    return latest


def facts(engine: sa.Engine, name: str) -> list[dict[str, Any]]:
    """The latest versions, in the order of their contracts."""
    with engine.connect() as conn:
        found = conn.execute(
            sa.text(f"SELECT * FROM metrics.{name}_fact WHERE known_to IS NULL ORDER BY contract_id, known_from")
        )
        return [dict(row._mapping) for row in found]

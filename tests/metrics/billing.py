"""Test only: single invoices, disputes, payments and schedules, as an ERP, a person or a CLM reports them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import orjson
import sqlalchemy as sa

from metrics.asking import Ask, By, Window
from metrics.kpi import Answer, Value
from metrics.measures import Measures
from sync_core.clock import VirtualClock
from tests import rows
from tests.metrics.support import caught_up
from tests.reads.handmade import add_contract, add_event, insert

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
LONG = Window(date(2026, 1, 5), date(2026, 12, 7))  # Mondays


def day(text: str, hour: int = 12) -> datetime:
    """Noon, in UTC, of a day."""
    return datetime.fromisoformat(text).replace(hour=hour, tzinfo=UTC)


def report(
    engine: sa.Engine, contract_id: int | None, kind: str, ref: str, amount: str, on: str, *, status: str = "issued",
    currency: str = "USD", **more: object,
) -> None:  # fmt: skip
    values: dict[str, object] = {
        "system": "cloud", "kind": kind, "ref": ref, "project_key": f"crm/{ref}", "contract_id": contract_id,
        "amount": Decimal(amount), "currency": currency, "status": status, "occurred_on": date.fromisoformat(on),
        "recorded_at": day(on),
    }  # fmt: skip
    insert(engine, "financial_fact", "", **(values | more))


def invoice(engine: sa.Engine, contract_id: int | None, ref: str, amount: str, on: str, **more: object) -> None:
    report(engine, contract_id, "invoice", ref, amount, on, **more)  # type: ignore[arg-type]


def dispute(
    engine: sa.Engine, contract_id: int | None, of: str, amount: str, on: str, *, ref: str = "", status: str = "open",
    **more: object,
) -> None:  # fmt: skip
    report(engine, contract_id, "dispute", ref or f"D-{of}", amount, on, status=status, invoice_ref=of, **more)  # type: ignore[arg-type]


def scheduled(
    engine: sa.Engine, external_id: str, what: str, revision: int, at: str,
    milestones: Sequence[tuple[str, str, str]] = (), *, removed: Sequence[str] = (), **more: object,
) -> None:  # fmt: skip
    """An event with milestones (key, amount, due_on): terms of a signature, changes of all else. At noon, UTC."""
    listed = [{"key": key, "name": key, "amount": amount, "due_on": due} for key, amount, due in milestones]
    part = "terms" if what == "signed" else "changes"
    said = {"milestones": listed} | ({"remove_milestones": list(removed)} if removed else {})
    data = {"contract_id": external_id, "revision": revision, part: said, **more}
    add_event(engine, external_id, f"com.tieline.contract.{what}.v1", orjson.dumps(data).decode(), at=day(at))


class Books:
    def __init__(self, engine: sa.Engine) -> None:
        self.engine, self.clock, self.estate = engine, VirtualClock(NOW), rows.estate()
        self.measures = Measures(engine, clock=self.clock, estate=self.estate)

    def contract(self, **columns: object) -> int:
        return add_contract(self.engine, took=1.0, billing="milestones", **columns)  # type: ignore[arg-type]

    def rate(self, window: Window = LONG, *, as_of: datetime | None = None) -> Answer:
        return self.measures.kpi("dispute-rate", Ask(window, as_of=as_of)).answer

    def parts(self, by: By, window: Window = LONG) -> Mapping[str, Answer]:
        return self.measures.kpi("dispute-rate", Ask(window), by).parts

    def refresh(self) -> datetime:
        self.clock.advance(timedelta(minutes=1))
        return caught_up(self.engine, self.clock, self.estate).at


def figures(answer: Answer, *keys: str) -> list[Value]:
    return [answer.figure(key).value for key in keys]

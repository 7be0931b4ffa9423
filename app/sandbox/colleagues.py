"""The business functions of the demo's past: they take note of exceptions and pass some on, by the real commands.

Some exceptions begin with the wrong function and stay with the next one; of others nobody feels in charge, and they
come back. The same exceptions take the same way in the same past, also in one that was cut short.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any, Final

import sqlalchemy as sa

from app.sandbox.chance import chance
from sync_core.authority import Actor, person
from sync_core.commands.commands import Commands
from sync_core.errors import Function
from sync_core.estate.estate import Estate

OPENS_AT, CLOSES_AT = 8, 17  # UTC
PASSED_ON, COMES_BACK, GOES_AGAIN = 0.35, 0.5, 0.35  # shares, each of the one before
NOTED: Final = 0.7
_LOOKS_EVERY: Final = timedelta(hours=1)

_LEGAL, _FINANCE, _TAX = Function.LEGAL, Function.FINANCE_OPERATIONS, Function.TAX
_DATA, _DELIVERY, _INTEGRATION = Function.MASTER_DATA, Function.DELIVERY, Function.INTEGRATION


@dataclass(frozen=True, slots=True)
class Detour:
    """Whom else a cause is thought to be a matter of, with the words of both sides."""

    function: Function
    there: str
    back: str


DETOURS: Final[Mapping[str, Detour]] = {
    "tax_code_missing": Detour(
        _FINANCE, "Finance has the customer's exemption certificate",
        "The certificate has expired, so tax has to determine the code"),
    "customer_tax_profile_missing": Detour(
        _DATA, "The registration belongs into the customer's master record",
        "The number does not pass the check; tax has to ask the authority"),
    "customer_unknown": Detour(
        _FINANCE, "Is this the customer that was merged last year?",
        "It is a new customer: please create it"),
    "legal_entity_unknown": Detour(
        _LEGAL, "Which entity signed? The contract names none that we keep",
        "The successor signed, as the register says"),
    "milestones_do_not_add_up": Detour(
        _DELIVERY, "The plan is delivery's: which of the amounts holds?",
        "The plan was changed after signature; the annex has to be corrected"),
    "end_before_start": Detour(
        _DELIVERY, "When does the work begin?", "As in the offer, so the contract is to be corrected"),
    "rate_missing": Detour(
        _LEGAL, "Was a rate agreed for this category?", "It was left to the statement of work, which is delivery's"),
    "po_missing": Detour(
        _DELIVERY, "The project lead knows the buyer and can ask for the number",
        "The buyer sends it to accounts receivable alone"),
    "clause_rejected": Detour(
        _DELIVERY, "Can the work be done with the liability as it is written?",
        "It can; whether it may is for legal to say"),
    "erp_rejected": Detour(
        _INTEGRATION, "The ERP's answer looks like a fault of the interface",
        "The interface is right: the period is closed"),
}  # fmt: skip

_OPEN = sa.text("""
    SELECT k.case_id, k.cause, k.function, coalesce(k.first_opened_at, k.opened_at) AS opened_at, c.external_id,
           k.acknowledged_by IS NOT NULL AS noted, k.assignee IS NOT NULL AS taken,
           coalesce(m.moves, 0) AS moves, m.came_from
    FROM core.case AS k JOIN core.contract AS c USING (contract_id)
         LEFT JOIN LATERAL (
             SELECT count(*) AS moves, (array_agg(h.from_function ORDER BY h.occurred_at DESC))[1] AS came_from
             FROM core.case_history AS h WHERE h.case_id = k.case_id AND h.what = 'handed_over'
         ) AS m ON true
    WHERE k.state = 'open' AND k.cause = ANY(:causes) ORDER BY k.case_id
""")


@dataclass(slots=True)
class Colleagues:
    """Everybody who works on exceptions, one mailbox a function."""

    engine: sa.Engine
    commands: Commands
    seed: object
    estate: Estate
    looked_at: datetime | None = field(default=None, init=False)

    async def work(self, now: datetime) -> None:
        """In office hours and at most once an hour: what is due by then."""
        rests = now.weekday() > 4 or not OPENS_AT <= now.hour < CLOSES_AT
        if rests or (self.looked_at is not None and now < self.looked_at + _LOOKS_EVERY):
            return
        self.looked_at = now
        await asyncio.to_thread(self._work, now)

    def _work(self, now: datetime) -> None:
        with self.engine.connect() as conn:
            rows = conn.execute(_OPEN, {"causes": list(DETOURS)}).all()
        self._note([row for row in rows if not row.noted and self._notes(row, now)])
        for row in rows:
            self._pass_on(row, now)

    def _notes(self, row: sa.Row[Any], now: datetime) -> bool:
        rng = chance(self.seed, "note", row.external_id, row.cause)
        return rng.random() < NOTED and row.opened_at + timedelta(hours=rng.uniform(0.3, 5)) <= now

    def _note(self, rows: Sequence[sa.Row[Any]]) -> None:
        mine: dict[str, list[int]] = defaultdict(list)
        for row in rows:
            mine[row.function].append(row.case_id)
        for function, case_ids in mine.items():
            self.commands.cases.acknowledge(self._of(Function(function)), case_ids)

    def _pass_on(self, row: sa.Row[Any], now: datetime) -> None:
        """One step of its way, if that is due and nobody in person has it."""
        way, detour, goes = self.way(row.external_id, row.cause), DETOURS[row.cause], row.moves % 2 == 0
        if row.taken or row.moves >= len(way) or row.opened_at + way[row.moves] > now:
            return
        receiver = detour.function if goes else Function(row.came_from)
        if receiver != row.function:
            words = detour.there if goes else detour.back
            self.commands.cases.hand_over(self._of(Function(row.function)), [row.case_id], receiver, words)

    def way(self, contract: str, cause: str) -> list[timedelta]:
        """How long after it opened it is passed on, there and back in turn; empty where it stays."""
        rng = chance(self.seed, "way", contract, cause)
        goes, comes_back, goes_again = (rng.random() for _ in range(3))
        if goes >= PASSED_ON:
            return []
        steps = 1 if comes_back >= COMES_BACK else 2 if goes_again >= GOES_AGAIN else 3
        return [timedelta(hours=hours) for hours in accumulate(rng.uniform(1, 7 + 6 * at) for at in range(steps))]

    def _of(self, function: Function) -> Actor:
        owner = self.estate.owners.get(function)
        email = owner.email if owner else f"{function.replace('_', '-')}@meridian.example"
        return person(email, [f"operator:{function}"])

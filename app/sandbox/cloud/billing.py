"""Business life of the ERP: bill runs, hours that people book, customers who pay, some who dispute, revenue earned.

A nightly bill run covers each day that is over. What happens to an invoice is drawn from a dice seeded with the
seed and the invoice's own source, so it is the same whatever else went on and after every restart.
"""

import heapq
import random
from calendar import monthrange
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal

from app.sandbox.cloud.hourly import Habits as Habits
from app.sandbox.cloud.hourly import Hourly
from app.sandbox.cloud.masterdata import period_open
from app.sandbox.cloud.records import Doc
from app.sandbox.cloud.revenue import Revenue, term_end
from app.sandbox.cloud.store import Store
from sync_core.money import rounded

_DAY = timedelta(days=1)


class Billing:
    """Bills what is due. `advance` first, on every request: it does nothing on a day that it has seen."""

    def __init__(
        self, store: Store, *, seed: int, today: date, habits: Habits | None = None, revenue: Revenue | None = None
    ) -> None:
        """Without `revenue` this ERP posts none."""
        self._store, self.seed, self._habits, self._revenue = store, seed, habits or Habits(), revenue
        self._hourly = Hourly(store, self._habits)
        held = store.get("progress", "billing")
        self.through = date.fromisoformat(str(held["day"])) if held else today - _DAY
        self._due: list[tuple[date, str, str]] = []
        self._known: set[tuple[date, str, str]] = set()
        for project in store.all("project"):
            self.watch(project)
        for invoice in store.all("invoice"):
            self._follow(invoice)

    def watch(self, project: Doc) -> None:
        """Queue what an active project has to bill; call it after each change of it or of its parts."""
        if project["status"] != "active":
            return
        if project["billing_method"] == "fixed_fee":
            for milestone in self._store.parts("milestone", str(project["id"])):
                if not milestone.get("billed"):
                    self._queue(date.fromisoformat(str(milestone["bill_date"])), "milestone", str(milestone["id"]))
        begins = max(date.fromisoformat(str(project["start_date"])), self.through + _DAY)
        if project["billing_method"] != "fixed_fee":
            self._queue(_month_end(begins), "month", str(project["id"]))
        elif self._revenue is not None and self._revenue.over_term(project):
            self._queue(_month_end(begins), "revenue", str(project["id"]))

    def advance(self, through: date) -> None:
        """Run all nights up to and including that of `through`, and keep the result."""
        if through <= self.through:
            return
        while self._due and self._due[0][0] <= through:
            event = heapq.heappop(self._due)
            self._known.discard(event)
            self.through = max(self.through, event[0] - _DAY)
            self._happen(*event)
        self.through = through
        self._store.put("progress", {"id": "billing", "day": through.isoformat()})
        self._store.commit()

    def _queue(self, day: date, what: str, ident: str) -> None:
        event = (max(day, self.through + _DAY), what, ident)
        if event not in self._known:
            self._known.add(event)
            heapq.heappush(self._due, event)

    def _happen(self, day: date, what: str, ident: str) -> None:
        if what == "milestone":
            self._bill_milestone(day, ident)
        elif what == "month":
            self._bill_month(day, ident)
        elif what == "revenue":
            self._earn_month(day, ident)
        else:
            invoice = self._store.get("invoice", ident)
            if invoice is not None:
                _STEPS[what](self, day, invoice)

    def _bill_milestone(self, day: date, ident: str) -> None:
        milestone = self._store.get("milestone", ident)
        project = self._store.get("project", str(milestone["project_id"])) if milestone else None
        if milestone is None or project is None or project["status"] != "active" or milestone.get("billed"):
            return
        if date.fromisoformat(str(milestone["bill_date"])) > day:
            return  # it was moved; its new day is queued
        if not period_open(self._store, str(project["legal_entity"]), day):
            self._queue(_month_end(day) + _DAY, "milestone", ident)
            return
        self._store.put("milestone", {**milestone, "billed": True})
        earned = {str(milestone["revenue_category"]): Decimal(str(milestone["amount"]))}
        self._invoice(project, day, earned, str(milestone["external_id"]))

    def _bill_month(self, day: date, ident: str) -> None:
        project = self._store.get("project", ident)
        if project is None or project["status"] != "active":
            return
        source = f"{project['external_id']}/{day:%Y-%m}"
        earned, left = self._hourly.bill(project, day, self._dice(source), _room(project))
        if sum(earned.values()):
            self._invoice(project, day, earned, source)
        if left:
            self._queue(_month_end(day + _DAY), "month", ident)

    def book(self, project: Doc, category: str, worked_on: date, worked: Decimal) -> Doc:
        """Somebody books hours, also of days that were billed before: they are invoiced at the end of this month."""
        booked = self._hourly.book(project, category, worked_on, worked)
        self._queue(_month_end(max(worked_on, self.through + _DAY)), "month", str(project["id"]))
        self._store.commit()
        return booked

    def reprice(self, ident: str, price: Decimal) -> Doc | None:
        """Credit, or bill besides, the invoiced hours of a rate's days, so that they come to this price. None: there is
        no such rate.
        """
        rate = self._store.get("labour_rate", ident)
        project = self._store.get("project", str(rate["project_id"])) if rate else None
        if rate is None or project is None:
            return None
        if amount := self._hourly.reprice(rate, price, str(project["currency"])):
            source = f"{rate['external_id']}/priced-{price}-{self.through}"
            self._invoice(project, self.through, {str(rate["revenue_category"]): amount}, source)
        self._store.commit()
        return self._store.get("labour_rate", ident)

    def _earn_month(self, day: date, ident: str) -> None:
        """A month whose period is closed is caught up with by the next."""
        project = self._store.get("project", ident)
        if project is None or project["status"] != "active" or self._revenue is None:
            return
        is_open = period_open(self._store, str(project["legal_entity"]), day)
        if is_open:
            self._revenue.month_end(project, day)
        if not is_open or day < term_end(project):
            self._queue(_month_end(day + _DAY), "revenue", ident)

    def close(self, ident: str) -> None:
        """A project that was closed just now."""
        project = self._store.get("project", ident)
        if project is not None and self._revenue is not None:
            self._revenue.close(project, self.through)

    def settle(self, ident: str, amount: Decimal) -> Doc | None:
        """Credit (below zero) or bill besides what an invoiced milestone was billed wrong; the milestone with what is
        invoiced of it now. None: there is no such milestone, or nothing of it was invoiced.
        """
        milestone = self._store.get("milestone", ident)
        project = self._store.get("project", str(milestone["project_id"])) if milestone else None
        if milestone is None or project is None or not milestone.get("billed"):
            return None
        key = str(milestone["external_id"])
        earned = {str(milestone["revenue_category"]): amount}
        first = next((i for i in self._store.all("invoice") if i["source"] == key), None)
        number = sum(1 for i in self._store.all("invoice") if str(i["source"]).startswith(f"{key}/settled")) + 1
        self._invoice(project, self.through, earned, f"{key}/settled-{number}", of=first)
        if project["status"] == "closed":
            self.close(str(project["id"]))
        held = Decimal(str(milestone.get("invoiced_amount", milestone["amount"])))
        settled = self._store.put("milestone", {**milestone, "invoiced_amount": str(held + amount)})
        self._store.commit()
        return settled

    def _invoice(
        self, project: Doc, day: date, earned: Mapping[str, Decimal], source: str, *, of: Doc | None = None
    ) -> None:
        """`earned`: what it bills, by revenue category; `of`: the invoice that a credit note takes back."""
        currency, amount = str(project["currency"]), sum(earned.values(), Decimal(0))
        tax = self._store.get("tax_code", f"{project['legal_entity']}/{project['tax_code']}")
        percent = Decimal(str(tax["rate"])) if tax and tax.get("rate") else Decimal(0)
        invoice: Doc = {
            "id": self._store.next_id("INV"),
            "project_id": project["id"],
            "source": source,
            "date": day.isoformat(),
            "amount": str(amount),
            "tax_amount": str(rounded(amount * percent / 100, currency)),
            "currency": currency,
            "status": "open",
        }
        if amount < 0 and of is not None:
            invoice["of"] = of["id"]
        self._store.put("invoice", invoice)
        # A new dict: the project was read before this bill run changed it.
        held = self._store.get("project", str(project["id"])) or project
        billed = Decimal(str(held.get("billed_amount", "0"))) + amount
        self._store.put("project", {**held, "billed": True, "billed_amount": str(billed)})
        self._fact("invoice", str(invoice["id"]), invoice, day, "issued")
        self._recognise(project, invoice, day, earned, of)
        self._follow(invoice)

    def _recognise(self, project: Doc, invoice: Doc, day: date, earned: Mapping[str, Decimal], of: Doc | None) -> None:
        if self._revenue is None:
            return
        if "of" in invoice and of is not None:
            self._revenue.credited(project, invoice, of, day)
        else:
            self._revenue.invoiced(project, invoice, day, earned)

    def _follow(self, invoice: Doc) -> None:
        if Decimal(str(invoice["amount"])) < 0:
            return  # nobody pays or disputes a credit note
        for day, step in self._life(invoice):
            if day > self.through:
                self._queue(day, step, str(invoice["id"]))

    def _life(self, invoice: Doc) -> Iterator[tuple[date, str]]:
        dice = self._dice(f"life of {invoice['source']}")
        issued = date.fromisoformat(str(invoice["date"]))
        pays = issued + timedelta(days=dice.randint(*self._habits.pays_after_days))
        if dice.random() < self._habits.dispute_share:
            disputed = issued + timedelta(days=dice.randint(3, 9))
            settled = disputed + timedelta(days=dice.randint(7, 30))
            pays = max(pays, settled + timedelta(days=dice.randint(2, 12)))
            yield disputed, "dispute"
            yield settled, "settle"
        yield pays, "pay"

    def _dispute(self, day: date, invoice: Doc) -> None:
        self._store.put("invoice", {**invoice, "status": "disputed", "disputed_on": day.isoformat()})
        self._fact("dispute", f"DSP-{invoice['id']}", invoice, day, "open")

    def _settle(self, _day: date, invoice: Doc) -> None:
        self._store.put("invoice", {**invoice, "status": "open"})
        raised = date.fromisoformat(str(invoice["disputed_on"]))
        self._fact("dispute", f"DSP-{invoice['id']}", invoice, raised, "resolved")

    def _pay(self, day: date, invoice: Doc) -> None:
        self._store.put("invoice", {**invoice, "status": "paid"})
        self._fact("payment", f"PAY-{invoice['id']}", invoice, day, "received")
        self._fact("invoice", str(invoice["id"]), invoice, date.fromisoformat(str(invoice["date"])), "paid")

    def _fact(self, kind: str, ref: str, invoice: Doc, day: date, status: str) -> None:
        """The listing is append-only: a later status of the same `ref` is a later entry."""
        project = self._store.get("project", str(invoice["project_id"]))
        entry: Doc = {
            "id": str(self._store.count("fact") + 1),
            "kind": kind,
            "ref": ref,
            "project_external_id": project["external_id"] if project else None,
            "amount": invoice["amount"],
            "currency": invoice["currency"],
            "date": day.isoformat(),
            "status": status,
            "invoice_id": invoice.get("of") if kind == "invoice" else invoice["id"],
        }
        self._store.put("fact", entry)

    def _dice(self, what: str) -> random.Random:
        return random.Random(f"{self.seed}/{what}")  # noqa: S311 - simulated business, not a secret


_STEPS = {"dispute": Billing._dispute, "settle": Billing._settle, "pay": Billing._pay}


def _month_end(day: date) -> date:
    return day.replace(day=monthrange(day.year, day.month)[1])


def _room(project: Doc) -> Decimal | None:
    """What may still be invoiced under the not-to-exceed amount."""
    if project["not_to_exceed"] is None:
        return None
    return Decimal(str(project["not_to_exceed"])) - Decimal(str(project.get("billed_amount", "0")))

"""Revenue of the ERP: a ledger of postings beside the invoices, by the treatment of each contract line.

A line that recognises at a point in time or as it is invoiced earns what its milestones and hours bill, and so do hours
of a line that recognises over time. A fixed fee over time is earned day by day over the project's term: each month end
posts what should be recognised by then and is not, so a line or a term that was changed is caught up with.

A posting is never changed. A credit note posts the reversal of what its invoice earned; what is earned over the term
follows the line's amount instead. When a project is closed, what was recognised of it comes to what was billed.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from app.sandbox.cloud.records import Doc
from app.sandbox.cloud.store import Store
from sync_core.money import rounded

KIND = "revenue_posting"
FIELDS = (
    "id", "type", "method", "project_id", "project_external_id", "line_id", "line_external_id", "amount", "currency",
    "posting_date", "period", "invoice_id", "reverses",
)  # fmt: skip
_OPEN_ENDED = timedelta(days=365)  # over which a fixed fee without an end is earned
_OVER_TIME = "over_time"


@dataclass(frozen=True, slots=True)
class _Line:
    """A contract line, or what is left of one that was removed: what was posted on it."""

    id: str | None
    external_id: str | None
    method: str
    amount: Decimal


_NO_LINE = _Line(None, None, "as_invoiced", Decimal(0))  # of a project that has none


class Revenue:
    """Posts into the store that it is given; the caller commits."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def over_term(self, project: Doc) -> bool:
        """Whether something of it is earned as time passes."""
        return any(_by_term(project, line) for line in self._lines(project))

    def invoiced(self, project: Doc, invoice: Doc, day: date, earned: Mapping[str, Decimal]) -> None:
        """`earned`: what the invoice bills, by revenue category."""
        for category, amount in earned.items():
            lines = self._lines(project, category) or self._lines(project) or [_NO_LINE]
            shares = split(amount, [line.amount for line in lines], str(project["currency"]))
            for line, share in zip(lines, shares, strict=True):
                if not _by_term(project, line):
                    self._post(project, line, share, day, "recognition", invoice=str(invoice["id"]))

    def credited(self, project: Doc, note: Doc, original: Doc, day: date) -> None:
        """Takes back of what the invoice `original` earned as much as the credit note takes back of its amount."""
        postings = [p for p in self._postings(project) if p["invoice_id"] == original["id"]]
        amounts = [Decimal(str(posting["amount"])) for posting in postings]
        if not postings:
            return
        currency = str(project["currency"])
        part = Decimal(str(note["amount"])) * sum(amounts, Decimal(0)) / Decimal(str(original["amount"]))
        for posting, share in zip(postings, split(rounded(part, currency), amounts, currency), strict=True):
            self._post(project, _of(posting), share, day, "reversal", invoice=str(note["id"]),
                       reverses=str(posting["id"]))  # fmt: skip

    def month_end(self, project: Doc, day: date) -> None:
        """What is earned over the term up to and including `day`, as far as it is not posted."""
        lines = {line.id: line for line in self._lines(project) if _by_term(project, line)}
        posted = self._posted_over_term(project)
        passed, whole = _days(project, day)
        for ident, line in {**posted, **lines}.items():
            due = line.amount * passed / whole if ident in lines else Decimal(0)
            held = posted[ident].amount if ident in posted else Decimal(0)
            rest = rounded(due, str(project["currency"])) - held
            self._post(project, line, rest, day, "recognition" if rest > 0 else "adjustment")

    def close(self, project: Doc, day: date) -> None:
        """Nothing more is earned or billed of it: what is recognised comes to what was billed."""
        earned = sum((Decimal(str(posting["amount"])) for posting in self._postings(project)), Decimal(0))
        rest = Decimal(str(project.get("billed_amount", "0"))) - earned
        by_term = [line for line in self._lines(project) if _by_term(project, line)]
        lines = by_term or list(self._posted_over_term(project).values()) or [_NO_LINE]
        shares = split(rest, [line.amount for line in lines], str(project["currency"]))
        for line, share in zip(lines, shares, strict=True):
            self._post(project, line, share, day, "adjustment")

    def _lines(self, project: Doc, category: str | None = None) -> list[_Line]:
        return [
            _Line(str(part["id"]), str(part["external_id"]), str(part["recognition"]), Decimal(str(part["amount"])))
            for part in self._store.parts("contract_line", str(project["id"]))
            if category is None or part["revenue_category"] == category
        ]

    def _postings(self, project: Doc) -> list[Doc]:
        return self._store.parts(KIND, str(project["id"]))

    def _posted_over_term(self, project: Doc) -> dict[str | None, _Line]:
        """By line, what was posted as time passed: without an invoice."""
        found: dict[str | None, _Line] = {}
        for posting in self._postings(project):
            if posting["method"] == _OVER_TIME and posting["invoice_id"] is None:
                line = _of(posting)
                held = found[line.id].amount if line.id in found else Decimal(0)
                found[line.id] = _Line(line.id, line.external_id, line.method, held + line.amount)
        return found

    def _post(
        self, project: Doc, line: _Line, amount: Decimal, day: date, what: str, *, invoice: str | None = None,
        reverses: str | None = None,
    ) -> None:  # fmt: skip
        if not amount:
            return
        values: Doc = {
            "id": _ident(self._store.count(KIND) + 1), "type": what, "method": line.method,
            "project_id": project["id"], "project_external_id": project["external_id"], "line_id": line.id,
            "line_external_id": line.external_id, "amount": str(amount), "currency": project["currency"],
            "posting_date": day.isoformat(), "period": f"{day:%Y-%m}", "invoice_id": invoice, "reverses": reverses,
        }  # fmt: skip
        self._store.put(KIND, values)


def page(store: Store, begin: int, limit: int) -> list[Doc]:
    """Postings in their order, from the one after number `begin`."""
    numbers = range(begin + 1, min(begin + limit, store.count(KIND)) + 1)
    return [posting for number in numbers if (posting := store.get(KIND, _ident(number))) is not None]


def before(store: Store, since: date) -> int:
    """The number of the last posting before that day; days never go back from one posting to the next."""

    def day(number: int) -> str:
        posting = store.get(KIND, _ident(number))
        return str(posting["posting_date"]) if posting else ""

    return bisect_left(range(1, store.count(KIND) + 1), since.isoformat(), key=day)


def split(amount: Decimal, weights: Sequence[Decimal], currency: str) -> list[Decimal]:
    """In proportion, rounded as the currency is; the last one takes what rounding left. Adds up to `amount`."""
    whole = sum(weights, Decimal(0))
    if not whole:
        return [amount, *(Decimal(0) for _ in weights[1:])]
    shares = [rounded(amount * weight / whole, currency) for weight in weights[:-1]]
    return [*shares, amount - sum(shares, Decimal(0))]


def _ident(number: int) -> str:
    return f"REV-{number:06d}"


def _by_term(project: Doc, line: _Line) -> bool:
    return project["billing_method"] == "fixed_fee" and line.method == _OVER_TIME


def _of(posting: Doc) -> _Line:
    """The line of a posting, with what was posted."""
    ident, external_id = posting["line_id"], posting["line_external_id"]
    return _Line(
        None if ident is None else str(ident), None if external_id is None else str(external_id),
        str(posting["method"]), Decimal(str(posting["amount"])),
    )  # fmt: skip


def _days(project: Doc, day: date) -> tuple[int, int]:
    """Of the project's term, how many days have passed with `day`, and how many it has."""
    start = date.fromisoformat(str(project["start_date"]))
    end = term_end(project)
    return max(0, (min(day, end) - start).days + 1), (end - start).days + 1


def term_end(project: Doc) -> date:
    if project["end_date"] is not None:
        return date.fromisoformat(str(project["end_date"]))
    return date.fromisoformat(str(project["start_date"])) + _OPEN_ENDED - timedelta(days=1)

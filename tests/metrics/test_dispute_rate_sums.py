"""The dispute rate of random invoices against a slow recomputation from the raw rows."""

from collections import Counter
from datetime import date, timedelta
from itertools import count

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics.asking import Ask, Filters, Window
from metrics.kpi import Answer
from tests.metrics.billing import Books, day, dispute, invoice, scheduled
from tests.metrics.by_hand import converted
from tests.metrics.flow_rows import Made, ran
from tests.metrics.raw_disputes import Invoice, of_kind, recounted
from tests.reads.handmade import add_case, insert

JANUARY = date(2026, 1, 1)
_names = count(1)


@pytest.fixture
def books(database: sa.Engine) -> Books:
    return Books(database)


_CURRENCIES = st.sampled_from(["USD", "USD", "GBP", "EUR", "BRL"])
# Days after the issue, amount, status, cause, currency or the invoice's.
_DISPUTE = st.tuples(
    st.integers(0, 90), st.integers(1, 200), st.sampled_from(["open", "upheld", "resolved", "withdrawn"]),
    st.sampled_from([None, None, None, "rate", "quality"]), st.one_of(st.none(), st.none(), _CURRENCIES),
)  # fmt: skip
# Day after the first of January, amount (below zero: a credit note), currency, last status, of another invoice.
_INVOICE = st.tuples(
    st.integers(0, 320), st.integers(-30, 150), _CURRENCIES,
    st.sampled_from(["issued", "issued", "paid", "cancelled", "draft"]), st.sampled_from([False, False, False, True]),
    st.one_of(st.just([]), st.lists(_DISPUTE, min_size=1, max_size=3)),
)  # fmt: skip
_WRONG = st.tuples(
    st.integers(0, 200), st.one_of(st.none(), st.integers(0, 120), st.integers(10, 120))
)  # since when, for how many days
# A contract: test or not, amendments out of the ERP, an open exception of the PO, invoices, disputes of none of them.
_CONTRACT = st.tuples(
    st.sampled_from([False, False, False, True]), st.lists(_WRONG, min_size=1, max_size=2),
    st.lists(_WRONG, max_size=1), st.lists(_INVOICE, min_size=1, max_size=8), st.lists(_DISPUTE, max_size=1),
)  # fmt: skip
_Wrong = tuple[int, int | None]
_Dispute = tuple[int, int, str, str | None, str | None]
_Invoice = tuple[int, int, str, str, bool, list[_Dispute]]
_Contract = tuple[bool, list[_Wrong], list[_Wrong], list[_Invoice], list[_Dispute]]


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.lists(_CONTRACT, min_size=1, max_size=3), week=st.integers(0, 40), weeks=st.integers(3, 48))
def test_it_is_what_a_slow_recomputation_gives(books: Books, drawn: list[_Contract], week: int, weeks: int) -> None:
    """Examples stay in the database: each has a service line of its own, and all together are one answer more."""
    line = f"line {next(_names)}"
    for one in [(False, [], [], [], []), *drawn]:  # a line of test contracts alone could not be asked for
        _add(books.engine, books.contract(external_id=f"S-{next(_names)}", service_line=line, test=one[0]), one)
    books.refresh()
    window = Window(date(2026, 1, 5) + timedelta(weeks=week), date(2026, 1, 5) + timedelta(weeks=week + weeks))
    if window.start > books.clock.now().date():
        return
    for only in (line, None):
        chosen = Filters() if only is None else Filters(service_line=frozenset({only}))
        answer = books.measures.kpi("dispute-rate", Ask(window, filters=chosen)).answer
        _agrees(answer, [one for one in recounted(books.engine, only) if window.start <= one.issued_on < window.end],
                books.clock.now().date())  # fmt: skip


def _add(engine: sa.Engine, contract_id: int, drawn: _Contract) -> None:
    _, amendments, cases, invoices, of_none = drawn
    with engine.connect() as conn:
        name = str(conn.scalar(sa.text("SELECT external_id FROM core.contract WHERE contract_id = :id"),
                               {"id": contract_id}))  # fmt: skip
    scheduled(engine, name, "signed", 1, "2025-12-01")
    for number, (since, lasted) in enumerate(sorted(amendments, key=lambda one: one[0]), 1):
        at = day(str(JANUARY + timedelta(days=since)))
        header = {"number": number, "executed_at": at.isoformat()}
        scheduled(engine, name, "amended", number + 1, str(at.date()), amendment=header)
        if lasted is not None:
            done = at + timedelta(days=lasted)
            ran(engine, Made(contract_id, name), done, done, rev=9, state="active")
    for since, lasted in cases:
        at = day(str(JANUARY + timedelta(days=since)))
        case_id = add_case(engine, contract_id, "po_missing")
        for what, moment in (("opened", at), ("resolved", at + timedelta(days=lasted or 0, hours=1))):
            if what == "opened" or lasted is not None:
                insert(engine, "case_history", case_id=case_id, what=what, function="tax", occurred_at=moment,
                       recorded_at=moment)  # fmt: skip
    for number, (after, amount, currency, status, rebill, disputes) in enumerate(invoices):
        on = JANUARY + timedelta(days=after)
        more: dict[str, object] = {"invoice_ref": f"{name}/0"} if rebill and number else {}
        for said, later in (("draft", 0),) if status == "draft" else (("issued", 0), (status, 5)):
            invoice(engine, contract_id, f"{name}/{number}", str(amount), str(on + timedelta(days=later)), status=said,
                    currency=currency, **more)  # fmt: skip
        for m, one in enumerate(disputes):
            _dispute(engine, contract_id, f"{name}/{number}", f"{name}/{number}/{m}", on, currency, one)
    for m, one in enumerate(of_none):
        _dispute(engine, contract_id, f"{name}/nowhere", f"{name}/none/{m}", JANUARY, "USD", one)


def _dispute(
    engine: sa.Engine, contract_id: int, of: str, ref: str, issued: date, currency: str, drawn: _Dispute
) -> None:
    later, amount, status, cause, other = drawn
    for said, at in (("open", later), (status, later + 3)):
        dispute(engine, contract_id, of, str(amount), str(issued + timedelta(days=at)), ref=ref, status=said,
                cause=cause, currency=other or currency)  # fmt: skip


_NO_INVOICES = {
    "cancelled": "cancelled invoice", "draft": "draft of an invoice", "credit note": "credit note",
    "re-bill": "re-bill of an invoice", "unknown": "dispute of an invoice that no ERP reported",
}  # fmt: skip


def _agrees(answer: Answer, found: list[Invoice], today: date) -> None:
    own = [one for one in found if not one.test]
    issued = of_kind(own, "invoice")
    ripe = [one for one in issued if one.week_ends + timedelta(days=60) <= today]
    young = [one for one in issued if one not in ripe]
    assert answer.n == len(ripe)
    assert answer.excluded == {words: len(of_kind(own, kind)) for kind, words in _NO_INVOICES.items()} | {
        "dispute in another currency": sum(one.foreign for one in own),
        "payment in another currency": 0,
        "test contract": len(found) - len(own),
        "younger than 60 days": len(young),
    }
    so_far = [one for one in young if one.disputes]
    assert answer.figure("provisional").value == len(young)
    assert answer.figure("so_far").value == (pytest.approx(len(so_far) / len(young)) if young else None)
    disputed = [one for one in ripe if one.disputes]
    both = len(disputed) + len(so_far)
    assert answer.figure("with_younger").value == (pytest.approx(both / len(issued)) if issued else None)
    if not ripe:
        assert answer.value is None
        return
    assert answer.value == pytest.approx(len(disputed) / len(ripe))
    assert answer.figure("band").value == len(disputed)
    assert answer.figure("late").value == sum(one.late for one in ripe)
    states = Counter(one.state for one in disputed)
    assert answer.n_open == states["open"]
    for state in ("open", "upheld", "settled", "withdrawn"):
        assert answer.figure(state).value == states[state], state
    proven = [one for one in disputed if one.mismatch]
    assert answer.figure("sync_caused_count").value == len(proven)
    share = len(proven) / len(disputed) if disputed else None
    assert answer.figure("sync_caused").value == (share if share is None else pytest.approx(share))
    causes = Counter(f"cause_{one.cause or one.mismatch or 'not_stated'}" for one in disputed)
    told = {f.key: f.value for f in answer.figures if f.key.startswith("cause_")}
    assert told == causes
    _money_agrees(answer, ripe, disputed)


def _money_agrees(answer: Answer, ripe: list[Invoice], disputed: list[Invoice]) -> None:
    invoiced: Counter[str] = Counter()
    amounts: Counter[str] = Counter()
    for one in ripe:
        invoiced[one.currency] += one.amount  # type: ignore[assignment]
    for one in disputed:
        amounts[one.currency] += one.disputed  # type: ignore[assignment]
    whole, part = converted(invoiced), converted(amounts)  # type: ignore[arg-type]
    assert answer.figure("invoiced_amount").value == whole
    assert answer.figure("disputed_amount").value == (part if "BRL" in amounts else part or 0)
    share = float((part or 0) / whole) if whole else None
    assert answer.figure("value_rate").value == (share if share is None else pytest.approx(share))
    listed = {f.key: f.value for f in answer.figures if "unconverted" in f.key}
    unpriced = {"unconverted_BRL": invoiced, "disputed_unconverted_BRL": amounts}
    assert listed == {key: held["BRL"] for key, held in unpriced.items() if "BRL" in held}

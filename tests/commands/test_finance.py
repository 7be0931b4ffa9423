"""Imports of finance: all or nothing, each once, never changed, within reach, and in the audit."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from sync_core.authority import Forbidden, person
from sync_core.clock import VirtualClock
from sync_core.commands.commands import Commands
from sync_core.commands.desk import InvalidInput
from sync_core.commands.files import Form
from sync_core.commands.finance import Imported
from sync_core.finance import Stated
from sync_core.reads import Reads
from sync_core.reads.finance import RateFilter
from tests import rows
from tests.commands.people import EXECUTIVE, FINANCE, audited
from tests.metrics.billing import invoice
from tests.reads.handmade import add_contract, insert

BRITISH = person("uk-fin@example.com", ["operator:finance_operations@GB01"])
HEAD = "dispute,invoice,raised_on,status,amount,currency,cause\n"


class House:
    def __init__(self, engine: sa.Engine) -> None:
        self.engine, self.clock, estate = engine, VirtualClock(rows.NOW), rows.estate()
        self.finance = Commands(engine, clock=self.clock, estate=estate).finance
        self.reads = Reads(engine, clock=self.clock, estate=estate)

    def rates(self, *lines: str) -> Imported:
        body = "\n".join(["currency,valid_on,rate", *lines])
        return self.finance.import_rates(FINANCE, body.encode(), Form.CSV)

    def disputes(self, *lines: str, head: str = HEAD) -> Imported:
        return self.finance.import_disputes(FINANCE, (head + "\n".join(lines)).encode(), Form.CSV)

    def count(self, what: str) -> int:
        with self.engine.connect() as conn:
            return int(conn.execute(sa.text(f"SELECT count(*) FROM {what}")).scalar_one())


@pytest.fixture
def house(database: sa.Engine) -> House:
    one = House(database)
    contract = add_contract(database, legal_entity="GB01", took=1.0)
    invoice(database, contract, "INV-1", "1000", "2026-10-01", currency="GBP")
    other = add_contract(database, legal_entity="US01", took=1.0)
    invoice(database, other, "INV-2", "500", "2026-10-01")
    return one


def test_the_same_file_says_nothing_twice_whatever_its_form(house: House) -> None:
    first = house.rates("EUR,2026-11-01,1.10", "GBP,2026-11-01,1.25")
    said = [{"currency": "gbp", "valid_on": "2026-11-01", "rate": 1.25},
            {"currency": "EUR", "valid_on": "2026-11-01", "rate": "1.1000"}]  # fmt: skip
    again = house.finance.import_rates(FINANCE, json.dumps(said).encode(), Form.JSON)
    assert (first.stored, first.repeated) == (2, False)
    assert again == Imported("rates", first.digest, 2, 0, repeated=True)
    assert house.count("metrics.exchange_rate") == 2
    rows_ = audited(house.engine)
    assert [row["action"] for row in rows_] == ["rates.import", "rates.import"]
    assert rows_[0]["items"] == 2


def test_a_rate_said_anew_replaces_the_earlier_and_can_be_taken_back(house: House) -> None:
    house.rates("EUR,2026-11-01,1.10")
    before = house.clock.now()
    house.clock.advance(timedelta(hours=1))
    house.rates("EUR,2026-11-01,1.20")
    house.clock.advance(timedelta(hours=1))
    back = house.rates("EUR,2026-11-01,1.10")
    assert (back.stored, back.repeated) == (1, False)
    assert [row.rate for row in house.reads.exchange_rates().rows] == [Decimal("1.1")]
    every = house.reads.exchange_rates(RateFilter("EUR", replaced=True))
    assert [row.rate for row in every.rows] == [Decimal("1.1"), Decimal("1.2"), Decimal("1.1")]
    early = house.reads.exchange_rates(RateFilter(as_of=before + timedelta(minutes=90)))
    assert [row.rate for row in early.rows] == [Decimal("1.2")]
    assert house.reads.exchange_rates(RateFilter("CHF")).total == 0


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("XXQ,2026-11-01,1.10", "line 3: 'XXQ' is no ISO 4217"),
        ("USD,2026-11-01,1", "line 3: USD is the reporting currency"),
        ("EUR,2026-11-01,0", "line 3: rate: 0 is not above zero"),
        ("EUR,2026-11-01,-1.1", "line 3: rate: -1.1 is not above zero"),
        ("EUR,2026-11-01,1" + "0" * 17, "line 3: rate: 10* USD for one EUR is above 1,000,000,000; check it"),
        ("GBP,2026-11-01,1.3", "line 3: the currency and day is that of line 2 again"),
    ],
)
def test_one_bad_rate_and_nothing_is_stored(house: House, line: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        house.rates("GBP,2026-11-01,1.25", line)
    assert house.count("metrics.exchange_rate") == 0
    assert not audited(house.engine)


def test_what_holds_for_all_entities_is_for_those_who_reach_all(house: House) -> None:
    for command in (house.finance.import_rates, house.finance.import_baseline, house.finance.import_assumptions):
        for actor in (BRITISH, EXECUTIVE):
            with pytest.raises(Forbidden):
                command(actor, b"name,value,reason\n", Form.CSV)


def test_numbers_are_stated_in_versions_and_read_back_as_of_then(house: House) -> None:
    def state(value: str) -> Imported:
        body = f"name;value;reason\ncost_of_hour;{value};payroll\n"
        return house.finance.import_assumptions(FINANCE, body.encode(), Form.CSV)

    assert state("80").stored == 1
    then = house.clock.now()
    house.clock.advance(timedelta(days=1))
    assert [state("85.5").stored, state("85.50").repeated] == [1, True]
    held = {one.name: one.value for one in house.reads.stated(Stated.ASSUMPTION)}
    assert (held["cost_of_hour"], held["cost_of_dispute"]) == (Decimal("85.5"), None)
    assert {one.name: one.value for one in house.reads.stated(Stated.ASSUMPTION, as_of=then)}["cost_of_hour"] == 80
    assert all(one.value is None for one in house.reads.stated(Stated.BASELINE))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("cost_of_hours,80,payroll", "line 2: name: 'cost_of_hours' is none of cost_of_setup_hour"),
        ("cost_of_hour,-1,payroll", "line 2: cost_of_hour: -1 is not between 0"),
        ("cost_of_hour,1,10", "line 2: reason: '10' says nothing"),
        ("cost_of_hour,80,", "line 2: reason is empty"),
    ],
)
def test_a_number_that_cannot_be_is_refused(house: House, line: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        house.finance.import_assumptions(FINANCE, f"name,value,reason\n{line}\n".encode(), Form.CSV)
    assert house.count("metrics.stated_value") == 0


def test_a_dispute_is_a_fact_of_its_invoice_and_its_next_status_another(house: House) -> None:
    raised = house.disputes("D-1,INV-1,2026-10-05,raised,120.50,GBP,rate")
    settled = house.disputes("D-1,INV-1,2026-10-05,withdrawn,120.50,GBP,rate")
    assert (raised.stored, settled.stored) == (1, 1)
    with house.engine.connect() as conn:
        found = conn.execute(sa.text("""
            SELECT system, of_system, kind, ref, invoice_ref, project_key, amount, currency, status, cause
            FROM core.financial_fact WHERE system = 'import' ORDER BY seq"""))  # fmt: skip
        first, second = map(tuple, found)
    assert first == (
        "import", "cloud", "dispute", "cloud/D-1", "INV-1", "crm/INV-1", Decimal("120.50"), "GBP", "raised", "rate",
    )  # fmt: skip
    assert second[8] == "withdrawn"
    # The first file once more is an old file, not a dispute that came back.
    again = house.disputes("D-1,INV-1,2026-10-05,raised,120.5,GBP,rate")
    assert (again.stored, again.repeated) == (0, True)
    [contract] = house.reads.contracts().rows[:1]
    details = [house.reads.contract(row.contract_id) for row in house.reads.contracts().rows]
    shown = [one for detail in details if detail is not None for one in detail.invoices if one.ref == "INV-1"]
    assert [(one.system, one.disputes) for one in shown] == [("cloud", ("withdrawn",))]
    assert contract.contract_id


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("D-2,INV-9,2026-10-05,raised,10,GBP,", "line 3: invoice: no 'INV-9' was reported by an ERP"),
        ("D-2,INV-1,2026-09-30,raised,10,GBP,", "line 3: raised_on: 2026-09-30 is before the invoice's own day"),
        ("D-2,INV-1,2026-11-24,raised,10,GBP,", "line 3: raised_on: 2026-11-24 is still to come"),
        ("D-2,INV-1,2026-10-05,angry,10,GBP,", "line 3: status: 'angry' is none of raised, open"),
        ("D-2,INV-1,2026-10-05,raised,10,USD,", "line 3: currency: the invoice is in GBP, not in USD"),
        ("D-2,INV-1,2026-10-05,raised,10.005,GBP,", "line 3: amount: 10.005 GBP has more than 2 decimals"),
        ("D-2,INV-1,2026-10-05,raised,0,GBP,", "line 3: amount: 0.00 is not above zero"),
        ("D-2,INV-1,2026-10-05,raised,1000.01,GBP,", "line 3: amount: 1000.01 is more than the invoice's 1000"),
        ("D-2,INV-1,2026-10-05,raised,10,GBP,weather", "line 3: cause: 'weather' is none of rate"),
        ("D-1,INV-1,2026-10-06,open,10,GBP,", "line 3: the dispute is that of line 2 again"),
    ],
)
def test_one_bad_dispute_and_nothing_is_stored(house: House, line: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        house.disputes("D-1,INV-1,2026-10-05,raised,120.50,GBP,rate", line)
    assert house.count("core.financial_fact WHERE kind = 'dispute'") == 0


def test_an_invoice_number_of_two_erps_has_to_be_told_apart(house: House) -> None:
    insert(house.engine, "crosswalk", system="legacy", kind="project", business_key="crm/L", state="confirmed",
           contract_id=add_contract(house.engine, legal_entity="DE01", took=1.0))  # fmt: skip
    invoice(house.engine, None, "INV-2", "50", "2026-10-01", system="legacy", project_key="crm/L")
    with pytest.raises(InvalidInput, match="line 2: invoice: 'INV-2' is there in cloud, legacy; name it in erp"):
        house.disputes("D-1,INV-2,2026-10-05,raised,10,USD,")
    head = HEAD.replace("cause", "erp")
    assert house.disputes("D-1,INV-2,2026-10-05,raised,10,USD,legacy", head=head).stored == 1
    with pytest.raises(InvalidInput, match="no 'INV-2' of sap was"):
        house.disputes("D-1,INV-2,2026-10-05,raised,10,USD,sap", head=head)


def test_a_dispute_stays_with_its_invoice(house: House) -> None:
    invoice(house.engine, add_contract(house.engine, took=1.0), "INV-3", "500", "2026-10-01")
    house.disputes("D-1,INV-2,2026-10-05,raised,10,USD,")
    with pytest.raises(InvalidInput, match="line 2: dispute: 'D-1' is about invoice INV-2"):
        house.disputes("D-1,INV-3,2026-10-05,raised,10,USD,")


def test_a_dispute_about_an_invoice_out_of_reach_does_not_name_it(house: House) -> None:
    house.disputes("D-1,INV-2,2026-10-05,raised,10,USD,")
    body = f"{HEAD}D-1,INV-1,2026-10-05,raised,10,GBP,\n".encode()
    with pytest.raises(InvalidInput) as refused:
        house.finance.import_disputes(BRITISH, body, Form.CSV)
    assert "line 2: dispute: 'D-1' is about another invoice" in str(refused.value)
    assert "INV-2" not in str(refused.value)


def test_an_invoice_out_of_reach_is_one_that_nobody_knows(house: House) -> None:
    def handed_in(invoice_: str, currency: str) -> Imported:
        body = f"{HEAD}D-1,{invoice_},2026-10-05,raised,10,{currency},\n"
        return house.finance.import_disputes(BRITISH, body.encode(), Form.CSV)

    assert handed_in("INV-1", "GBP").stored == 1
    with pytest.raises(InvalidInput, match="no 'INV-2' was reported"):
        handed_in("INV-2", "USD")

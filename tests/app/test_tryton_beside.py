"""What `--with tryton` adds to the demo, before any Tryton runs: estate, master data, contracts, refusals."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.cli.refusals import Exit, Refusal
from app.demo.tryton_beside import require
from app.sandbox.overlay import merged
from app.sandbox.tryton_firm import CONTRACTS, contract_ids, customers, entity_of, legal_entity, signed_contracts
from app.settings import InvalidSettings, load
from app.wiring import DEMO_ESTATE, Wiring
from sync_core.contract import BillingKind
from sync_core.errors import InvalidEstate
from sync_core.estate.estate import Estate
from sync_core.estate.estate import load as load_estate
from tests.app.test_cli import refused, tieline

NOW = datetime(2026, 11, 23, 15, tzinfo=UTC)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TIELINE_BESIDE", "TIELINE_ESTATE", "TIELINE_TRYTON_DATABASE_URL", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def wiring() -> Wiring:
    return Wiring(load(beside="tryton"), "test")


@pytest.fixture
def estate(wiring: Wiring) -> Estate:
    return wiring.estate


def test_the_overlay_adds_one_lane_and_one_entity_and_changes_nothing_else(wiring: Wiring) -> None:
    demo, both = load_estate(DEMO_ESTATE.read_text()), wiring.estate
    assert wiring.own_estate == demo
    assert both.erp[:-1] == demo.erp
    assert (both.erp[-1].name, both.erp[-1].kind) == ("tryton", "tryton")
    assert both.entity[:-1] == demo.entity
    assert both.entity[-1].erp == "tryton"
    assert both.revenue[: len(demo.revenue)] == demo.revenue
    assert (both.group, both.clm, both.owner) == (demo.group, demo.clm, demo.owner)
    assert load_estate(wiring.estate_text) == both


def test_without_it_the_estate_is_the_file_to_the_byte() -> None:
    assert Wiring(load(), "test").estate_text == DEMO_ESTATE.read_text()


@pytest.mark.parametrize("overlay", ["rate = 1", '[group]\nname = "Other"', "[[erp]\n"])
def test_an_overlay_that_would_end_up_elsewhere_is_refused(overlay: str) -> None:
    with pytest.raises(InvalidEstate, match="overlay"):
        merged(DEMO_ESTATE.read_text(), overlay)


def test_the_books_hold_all_that_the_contracts_refer_to(estate: Estate) -> None:
    entity, books = entity_of(estate), legal_entity(estate, NOW)
    categories = {category.code: category.revenue_account for category in books.revenue_categories}
    for kind in BillingKind:
        rule = estate.revenue_for(kind, "Strategy", entity.code)
        assert rule is not None
        assert categories[rule.category] == rule.account
    assert {labour.revenue_category for labour in books.labour} <= set(categories)
    assert 10 <= len(books.customers) <= 20
    assert len({customer.code for customer in books.customers}) == len(books.customers)
    known = {customer.code: customer.tax_code for customer in books.customers}
    for contract in signed_contracts(estate, NOW):
        terms = contract.changes[-1].body["terms"]
        assert isinstance(terms, dict)
        party, tax, billing, rates = terms["customer"], terms["tax"], terms["billing"], terms["rates"]
        assert isinstance(party, dict)
        assert isinstance(tax, dict)
        assert isinstance(billing, dict)
        assert isinstance(rates, list)
        assert known[str(party["code"])] == tax["tax_code"]
        assert billing["payment_terms"] in {each.code for each in books.payment_terms}
        used = {str(rate["category"]) for rate in rates if isinstance(rate, dict)}
        assert used <= {labour.code for labour in books.labour}


def test_both_billing_kinds_are_signed_and_the_same_ones_each_time(estate: Estate) -> None:
    made = list(signed_contracts(estate, NOW))
    assert [contract.contract_id for contract in made] == list(contract_ids(estate))
    assert made == list(signed_contracts(estate, NOW))
    assert len(made) == CONTRACTS
    signed = [contract.changes[-1].body["terms"] for contract in made]
    kinds = [str(terms["billing"]) for terms in signed if isinstance(terms, dict)]
    for kind in BillingKind:
        assert sum(kind.value in each for each in kinds) == CONTRACTS / len(BillingKind)


def test_no_customer_of_the_demo_is_met_again(estate: Estate) -> None:
    found = {customer.code for customer in customers(estate, entity_of(estate))}
    assert all(code.startswith("CUST-CA-") for code in found)


def test_what_cannot_be_run_beside_is_refused_before_anything_starts() -> None:
    require(load(beside="tryton"))
    with pytest.raises(InvalidSettings, match="TIELINE_ESTATE"):
        require(load(beside="tryton", estate=Path("mine.toml")))
    with pytest.raises(InvalidSettings, match="TIELINE_TRYTON_DATABASE_URL"):
        require(load(beside="tryton", database_url="postgresql://me@db.example/tieline"))
    with pytest.raises(Refusal, match="make up WITH=tryton") as missing:
        require(load(beside="tryton"), package="trytond-no-such-module")
    assert missing.value.exit_code == Exit.SETTINGS


def test_the_command_line_says_what_it_can_run_beside(tmp_path: Path) -> None:
    unknown = tieline(tmp_path, "up", "--with", "sap")
    assert (unknown.returncode, "tryton" in unknown.stderr) == (Exit.USAGE, True)
    refused(tieline(tmp_path, "up", TIELINE_BESIDE="sap"), Exit.SETTINGS, "TIELINE_BESIDE")
    url = "postgresql://me:hidden@127.0.0.1:1/x"
    refused(tieline(tmp_path, "up", "--with", "tryton", DATABASE_URL=url), Exit.SETTINGS, "TIELINE_TRYTON_DATABASE_URL")
    refused(tieline(tmp_path, "tryton"), Exit.SETTINGS, "TIELINE_URL_TRYTON")

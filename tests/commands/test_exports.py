"""Lists taken out as files: what the actor may see, what the filter says, and the audit knows."""

import csv
import io
from decimal import Decimal

import orjson
import pytest
import sqlalchemy as sa

from sync_core.audit import audit
from sync_core.authority import Forbidden, person, program
from sync_core.commands import exports
from sync_core.commands.exports import Export
from sync_core.reads import ContractFilter, ExceptionFilter, ExceptionSort, Sort
from tests.commands.people import audited, commands
from tests.hostile import FORMULAS
from tests.reads.handmade import add_case, add_contract

LONDON = person("london@example.com", ["executive@GB01"])
GROUP = person("group@example.com", ["auditor"])


def rows_of(made: Export) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(made.body.decode("utf-8-sig"), newline="")))


def test_a_file_holds_what_its_taker_may_see_and_the_audit_says_so(database: sa.Engine) -> None:
    ids = [
        add_contract(database, legal_entity=entity, value=Decimal(value), value_reporting=Decimal(value))
        for entity, value in (("GB01", "10.10"), ("GB01", "99.90"), ("US01", "5"))
    ]
    made = commands(database).exports.contracts(LONDON, ContractFilter(), Sort.VALUE)
    assert [(row["entity"], row["value"]) for row in rows_of(made)] == [("GB01", "99.90"), ("GB01", "10.10")]
    assert (made.name, made.rows, made.complete) == ("contracts-2026-11-23.csv", 2, True)
    (row,) = audited(database)
    assert (row["actor"], row["action"], row["subject"]) == ("london@example.com", "export.contracts", "2 contracts")
    assert row["items"] == 2
    assert bytes(row["items_root"]) == audit.items_root([ids[1], ids[0]])
    assert orjson.loads(row["detail"]) == {"asked": {"sort": "value", "tests": False}, "rows": 2}


def test_the_filter_is_kept_and_counts(database: sa.Engine) -> None:
    for entity in ("GB01", "US01"):
        add_case(database, add_contract(database, legal_entity=entity), "po_missing")
    wanted = ExceptionFilter(legal_entity="US01", age=0)
    made = commands(database).exports.exceptions(GROUP, wanted, ExceptionSort.AGE)
    assert [row["entity"] for row in rows_of(made)] == ["US01"]
    (row,) = audited(database)
    assert row["action"] == "export.exceptions"
    asked = orjson.loads(row["detail"])["asked"]
    assert {name: asked[name] for name in ("legal_entity", "state", "age", "sort")} == {
        "legal_entity": "US01", "state": "open", "age": 0, "sort": "age"
    }  # fmt: skip
    assert "cause" not in asked
    assert rows_of(commands(database).exports.exceptions(LONDON, wanted)) == []


def test_rows_beyond_the_limit_are_left_out_and_that_is_said(
    database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "MOST", 2)
    for value in (None, Decimal(1), Decimal(3)):
        add_contract(database, value_reporting=value)
    made = commands(database).exports.contracts(GROUP, ContractFilter(), Sort.VALUE)
    assert [row["value_reporting"] for row in rows_of(made)] == ["3", "1"]
    assert (made.rows, made.complete) == (2, False)


@pytest.mark.parametrize("text", FORMULAS)
def test_titles_customers_and_messages_are_no_formulas(database: sa.Engine, text: str) -> None:
    contract = add_contract(database, title=text, customer_name=text)
    add_case(database, contract, "po_missing", message=text)
    facade = commands(database)
    (row,) = rows_of(facade.exports.contracts(GROUP, ContractFilter()))
    assert (row["title"], row["customer"]) == (f"'{text}", f"'{text}")
    (row,) = rows_of(facade.exports.exceptions(GROUP, ExceptionFilter()))
    assert (row["title"], row["message"]) == (f"'{text}", f"'{text}")


def test_a_refused_export_leaves_no_trace(database: sa.Engine) -> None:
    with pytest.raises(Forbidden):
        commands(database).exports.exceptions(program("p", ["contracts:read"]), ExceptionFilter())
    assert audited(database) == []

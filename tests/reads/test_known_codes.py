"""Which tax codes an ERP held for a legal entity: each once, from an index, however many projects have it."""

import orjson
import sqlalchemy as sa

from sync_core.contract import Terms
from sync_core.desired import UNDECIDED
from sync_core.references.known_codes import MOST, TAX_CODE, TAX_CODES, held_tax_code, known_codes
from tests.core.test_approvals import signing
from tests.folds import fold
from tests.rows import NOW, estate

HELD = sa.text("""
    INSERT INTO core.crosswalk (system, kind, business_key, state, fields, confirmed_at)
    SELECT :erp, :kind, :key || n, 'confirmed', CAST(:fields AS jsonb), :now FROM generate_series(1, :many) AS n
""")


def hold(engine: sa.Engine, code: str | None, entity: str = "US01", *, erp: str = "cloud", kind: str = "project",
         many: int = 1) -> None:  # fmt: skip
    fields = orjson.dumps({"legal_entity": entity, "tax_code": code}).decode()
    key = f"{erp}/{kind}/{entity}/{code}/"
    with engine.begin() as conn:
        conn.execute(HELD, {"erp": erp, "kind": kind, "key": key, "fields": fields, "now": NOW, "many": many})


def terms(entity: str) -> Terms:
    found = fold([signing("25000", terms={"legal_entity": entity})]).terms
    assert found is not None
    return found


def test_codes_are_those_of_the_entitys_erp_and_no_others(database: sa.Engine) -> None:
    for code in ("US-STD", "US-EXPORT", "", None):
        hold(database, code, many=3)
    hold(database, "GB-STD", "GB01")
    hold(database, "US-OTHER", erp="another")
    hold(database, "US-PART", kind="milestone")
    with database.connect() as conn:
        assert known_codes(conn, terms("US01"), estate()) == {TAX_CODE: ("US-EXPORT", "US-STD")}
        assert known_codes(conn, terms("DE01"), estate()) == known_codes(conn, terms("no such entity"), estate()) == {}


def test_a_customer_whose_tax_nobody_decided_offers_no_code(database: sa.Engine) -> None:
    for code in ("US-STD", UNDECIDED):
        hold(database, code)
    with database.connect() as conn:
        assert known_codes(conn, terms("US01"), estate()) == {TAX_CODE: ("US-STD",)}
        assert held_tax_code(conn, terms("US01"), "US-STD", estate())
        assert not held_tax_code(conn, terms("US01"), UNDECIDED, estate())
        assert not held_tax_code(conn, terms("US01"), "", estate())


def test_a_code_beyond_those_that_are_offered_is_known_too(database: sa.Engine) -> None:
    for n in range(MOST + 1):
        hold(database, f"C-{n:03}")
    with database.connect() as conn:
        assert f"C-{MOST}" not in known_codes(conn, terms("US01"), estate())[TAX_CODE]
        assert held_tax_code(conn, terms("US01"), f"C-{MOST}", estate())
        assert not held_tax_code(conn, terms("US01"), "C-X", estate())
        assert not held_tax_code(conn, terms("GB01"), f"C-{MOST}", estate())


def test_many_projects_are_not_read_one_by_one(database: sa.Engine) -> None:
    for code in ("A", "B", "C"):
        hold(database, code, many=3_000)
    with database.connect() as conn:
        assert known_codes(conn, terms("US01"), estate()) == {TAX_CODE: ("A", "B", "C")}
        bound = {"erp": "cloud", "entity": "US01", "most": 200, "undecided": UNDECIDED}
        plan = conn.execute(sa.text(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {TAX_CODES.text}"), bound).scalar_one()
    read = [node["Actual Rows"] * node["Actual Loops"] for node in scans(plan[0]["Plan"])]
    assert read
    assert sum(read) <= 8


def scans(node: dict[str, object]) -> list[dict[str, float]]:
    """The nodes that read the crosswalk."""
    inner = [one for child in node.get("Plans", []) for one in scans(child)]  # type: ignore[attr-defined]
    return ([node] if node.get("Relation Name") == "crosswalk" else []) + inner  # type: ignore[return-value]

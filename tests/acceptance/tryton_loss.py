"""What a firm's Tryton loses and Tieline forgets, and what is left of it as Tryton's administrator sees it."""

import psycopg

from app.sandbox.tryton_rpc import Row
from tests.acceptance.processes import House
from tests.acceptance.tryton_house import by_the_hour, fixed_fee
from tests.tryton_bookkeeper import Bookkeeper

SIGNED, LATE, CUSTOMERS = range(16), range(16, 24), 6
LOST = (0, 1, 2, 3, 12, 13, 14, 15)  # with both of their customers, who have no other contract
MAIMED = (4, 5, 6, 7)  # one of two milestones or rates is gone
FORGOTTEN = (0, 1, 2, 3, 4, 5, 8, 9, 10, 11)


def terms(run: str, number: int) -> dict[str, object]:
    code = customer_of(run, number)
    customer = {"code": code, "name": f"Customer {code}", "tax_id": f"T-{code}", "country": "US"}
    return (fixed_fee if number % 2 else by_the_hour)(customer=customer)


def customer_of(run: str, number: int) -> str:
    return f"CUST-{run}-{number // 2 % CUSTOMERS}"


def lose(finance: Bookkeeper, run: str) -> None:
    """The administrator deletes it, without Tieline."""
    gone = [work for n in LOST for work in works(finance, f"{run}-{n:02d}")]
    gone += [finance.tasks(f"clm/{run}-{n:02d}", "M" if n % 2 else "R")[0] for n in MAIMED]
    finance.rpc.call("model.project.work.delete", [row["id"] for row in gone])
    for code in {customer_of(run, n) for n in LOST}:
        parties = finance.rpc.rows("party.party", [["identifiers.code", "=", code]])
        finance.rpc.call("model.party.party.delete", [row["id"] for row in parties])


def forget(house: House, run: str) -> None:
    """What only the owner of the database may do. Nothing becomes due by it."""
    names = [f"{run}-{n:02d}" for n in FORGOTTEN]
    codes = [customer_of(run, n) for n in LOST]
    with psycopg.connect(house.urls.owner_libpq) as connection:
        connection.execute(
            "DELETE FROM core.crosswalk WHERE business_key = ANY(%s) OR contract_id IN"
            " (SELECT contract_id FROM core.contract WHERE external_id = ANY(%s))", (codes, names),
        )  # fmt: skip
        connection.execute("UPDATE core.contract SET project_ref = NULL WHERE external_id = ANY(%s)", (names,))


def works(finance: Bookkeeper, name: str, *fields: str) -> list[Row]:
    """Projects and tasks of all contracts whose name begins so."""
    return finance.rpc.rows("project.work", [["comment", "like", f"clm:clm/{name}%"]], fields)


def held(finance: Bookkeeper, run: str) -> dict[str, list[Row]]:
    """All that Tryton holds of this run by its mark, with the time of the last write."""
    found: dict[str, list[Row]] = {}
    for row in works(finance, run, "comment", "type", "parent", "project_invoice_method", "write_date"):
        found.setdefault(str(row["comment"]).splitlines()[0].removeprefix("clm:clm/"), []).append(row)
    for row in finance.rpc.rows("party.party", [["identifiers.code", "like", f"CUST-{run}-%"]], ["name", "write_date"]):
        found.setdefault(str(row["name"]), []).append(row)
    return found

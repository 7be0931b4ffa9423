"""Tryton as a process of ours: what is in it when it serves, who may do what, and that it goes when told to."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from app.postgres.embedded import Endpoint
from app.sandbox.tryton_program import TrytonProgram, TrytonStartError
from app.sandbox.tryton_rpc import Row, TrytonRpc, TrytonRpcError, Value, decode, encode, new
from app.sandbox.tryton_server import Passwords, TrytonEndpoint
from tests import databases, tryton_server
from tests.tryton_server import RunningTryton

pytestmark = pytest.mark.xdist_group("tryton")

START = """
import sys
from pathlib import Path
from app.sandbox.tryton_program import TrytonProgram
home = Path(sys.argv[1])
program = TrytonProgram(home, programs=home)
program.serve("none")
print(program.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def postgres(testrun_uid: str) -> Iterator[Endpoint]:
    with databases.test_server(testrun_uid) as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def tryton(postgres: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningTryton]:
    with tryton_server.running(postgres, tmp_path_factory.mktemp("tryton")) as running:
        yield running


@pytest.fixture
def service(tryton: RunningTryton) -> Iterator[TrytonRpc]:
    at = tryton.endpoint
    with TrytonRpc(at.base_url, at.database, login=at.login, password=at.password) as rpc:
        yield rpc


@pytest.fixture
def admin(tryton: RunningTryton) -> Iterator[TrytonRpc]:
    with as_admin(tryton.endpoint) as rpc:
        yield rpc


def as_admin(at: TrytonEndpoint) -> TrytonRpc:
    return TrytonRpc(at.base_url, at.database, login=at.admin_login, password=at.admin_password)


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 15
    while command_line(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"


def command_line(pid: int) -> str:
    return subprocess.run(
        ["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True
    ).stdout.strip()


def test_the_service_user_finds_the_legal_entity_its_taxes_terms_and_categories(service: TrytonRpc) -> None:
    by_code = [["party.identifiers.code", "=", "LE-US-01"]]
    (company,) = service.rows("company.company", by_code, ["party.name", "currency.code"])
    assert company["party."] == {"id": 1, "name": "Northwind Services LLC"}
    (tax,) = service.rows("account.tax", [["description", "=", "US-CA-STD"]], ["rate", "company"])
    assert (tax["rate"], tax["company"]) == (Decimal("0.0825"), company["id"])
    assert service.find("account.invoice.payment_term", [["name", "=", "NET45"]])
    categories = service.rows("product.category", [["accounting", "=", True]], ["code"])
    assert [c["code"] for c in categories] == ["TM-OVER-TIME", "MILESTONE-POINT-IN-TIME"]
    (role,) = service.rows(
        "product.product", [["code", "=", "SR-CONSULTANT"]], ["list_price_used", "default_uom.symbol"]
    )
    assert (role["list_price_used"], role["default_uom."]) == (Decimal(250), {"id": 9, "symbol": "h"})


@pytest.mark.parametrize("day", [date(2025, 1, 1), tryton_server.TODAY, date(2027, 12, 31)])
def test_every_day_from_a_year_back_to_a_year_ahead_lies_in_an_open_period(service: TrytonRpc, day: date) -> None:
    covers: list[Value] = [["start_date", "<=", day], ["end_date", ">=", day], ["state", "=", "open"]]
    assert len(service.rows("account.period", covers)) == 1


def test_a_customer_has_the_tax_profile_that_its_books_gave_it(tryton: RunningTryton, service: TrytonRpc) -> None:
    def profile() -> Value:
        (customer,) = service.rows("party.party", [["identifiers.code", "=", "CUST-UNTAXED"]], ["customer_tax_rule"])
        rules = service.rows("account.tax.rule", [["id", "=", customer["customer_tax_rule"]]], ["name"])
        return rules[0]["name"] if rules else None

    assert profile() is None
    with tryton.server.books() as books:
        books.set_tax_profile("CUST-UNTAXED", "US-EXEMPT")
        assert profile() == "US-EXEMPT"
        books.set_tax_profile("CUST-UNTAXED", None)
    assert profile() is None


def milestone_project(service: TrytonRpc, customer: str) -> int:
    status = service.find("project.work.status", [["name", "=", "Open"]])
    unit = service.find("product.uom", [["name", "=", "Unit"]])
    category = service.find("product.category", [["code", "=", "MILESTONE-POINT-IN-TIME"]])
    service.ensure(
        "product.template",
        [["code", "=", "MILESTONE"]],
        {
            "code": "MILESTONE",
            "name": "Milestone",
            "type": "service",
            "default_uom": unit,
            "list_price": Decimal(0),
            "account_category": category,
            "products": [new({})],
        },
    )
    task: Row = {
        "name": "Design",
        "type": "task",
        "product": service.find("product.product", [["code", "=", "MILESTONE"]]),
        "list_price": Decimal(10000),
        "status": status,
        "progress": 1.0,
    }
    return service.create(
        "project.work",
        {
            "name": "Rollout",
            "type": "project",
            "party": service.find("party.party", [["identifiers.code", "=", customer]]),
            "project_invoice_method": "effort",
            "status": status,
            "children": [new(task)],
        },
    )


@pytest.mark.parametrize(("customer", "total"), [("CUST-ACME", Decimal(10825)), ("CUST-CITY", Decimal(10000))])
def test_a_project_is_invoiced_with_the_tax_of_its_customer(
    service: TrytonRpc, admin: TrytonRpc, customer: str, total: Decimal
) -> None:
    project = milestone_project(service, customer)
    with pytest.raises(TrytonRpcError, match="not allowed"):
        service.call("model.project.work.invoice", [project])
    admin.call("model.project.work.invoice", [project])
    theirs = [["party.identifiers.code", "=", customer]]
    (invoice,) = service.rows("account.invoice", theirs, ["total_amount", "state"])
    assert (invoice["total_amount"], invoice["state"]) == (total, "draft")
    with pytest.raises(TrytonRpcError, match="not allowed"):
        service.write("account.invoice", [invoice["id"]], {"invoice_date": tryton_server.TODAY})  # type: ignore[list-item]


def test_a_second_start_makes_nothing_anew_but_lost_passwords_and_a_stop_leaves_no_process(
    postgres: Endpoint, tmp_path: Path
) -> None:
    database = databases.clone(postgres, tryton_server.template(postgres))
    server = tryton_server.on_database(database.owner, tmp_path)
    counts: list[list[Value]] = []
    endpoints: list[TrytonEndpoint] = []
    models = ["company.company", "account.account", "account.tax.rule", "account.fiscalyear", "party.party", "res.user"]
    for _ in range(2):
        endpoints.append(server.start())
        pid = server.pid
        assert pid is not None
        assert not server.is_new
        with as_admin(endpoints[-1]) as rpc:
            counts.append([rpc.call(f"model.{model}.search_count", []) for model in models])
        server.stop()
        assert not command_line(pid)
        (tmp_path / "passwords.json").unlink()
    assert counts[0] == counts[1]
    assert endpoints[0].password != endpoints[1].password
    databases.drop(postgres, database)


def test_passwords_are_made_once_and_for_the_owners_eyes_only(tmp_path: Path) -> None:
    path = tmp_path / "passwords.json"
    assert Passwords.kept_in(path) == Passwords.kept_in(path)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start ends it")
def test_the_server_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = tmp_path / "trytond"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o700)
    command = [sys.executable, "-c", START, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert command_line(pid)
        starter.kill()
    wait_until_gone(pid)


def test_a_server_left_behind_is_ended_and_a_stranger_with_its_pid_is_not(tmp_path: Path) -> None:
    stay = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    for arguments, ours in ([str(tmp_path / "trytond.conf")], True), ([], False):
        with subprocess.Popen([*stay, *arguments], stdin=subprocess.PIPE) as left:
            (tmp_path / "trytond.pid").write_text(str(left.pid))
            TrytonProgram(tmp_path).end_stale()
            assert (left.poll() is not None) is ours
            if not ours:
                os.kill(left.pid, signal.SIGKILL)
    assert not (tmp_path / "trytond.pid").exists()


def test_without_tryton_the_error_says_how_to_install_it(tmp_path: Path) -> None:
    with pytest.raises(TrytonStartError, match=r"pip install tieline\[tryton\]"):
        TrytonProgram(tmp_path, programs=tmp_path).serve("none")


def test_values_survive_the_wire() -> None:
    values: Row = {
        "money": Decimal("10.50"),
        "day": date(2026, 2, 28),
        "time": timedelta(hours=8),
        "list": [True, None],
    }
    assert decode(encode(values)) == values

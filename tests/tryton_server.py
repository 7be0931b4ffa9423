"""A real Tryton for tests: made once per machine, restored once per test run, cloned per server.

Making one takes a minute (350 tables, thousands of records), restoring its dump two seconds, a clone less.
The dump lies in ~/.cache/tieline and is made anew when Tryton's version or the set-up changes.

    @pytest.fixture(scope="session")
    def tryton(server: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningTryton]:
        with tryton_server.running(server, tmp_path_factory.mktemp("tryton")) as running:
            yield running
"""

import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from importlib.metadata import distributions
from pathlib import Path

from app.postgres.binaries import installed_binaries
from app.postgres.embedded import Endpoint, Role
from app.sandbox import tryton_server as product
from app.sandbox.tryton_entity import Customer, Employee, LabourCategory, LegalEntity, PaymentTerms, Tax
from tests import databases

TODAY = date(2026, 6, 1)
ENTITY = LegalEntity(
    code="LE-US-01",
    name="Northwind Services LLC",
    currency="USD",
    digits=2,
    taxes=(Tax("US-CA-STD", "Sales tax 8.25 %", Decimal("0.0825")), Tax("US-EXEMPT", "Exempt", Decimal(0))),
    payment_terms=(PaymentTerms("NET30", 30), PaymentTerms("NET45", 45)),
    labour=(
        LabourCategory("SR-CONSULTANT", "Senior consultant", Decimal(250), "TM-OVER-TIME"),
        LabourCategory("CONSULTANT", "Consultant", Decimal(180), "TM-OVER-TIME"),
    ),
    employees=(Employee("E-001", "Pat Consultant", Decimal(85)),),
    customers=(
        Customer("CUST-ACME", "Acme Corporation", "94-1234567", "US-CA-STD"),
        Customer("CUST-CITY", "City of Oakland", None, "US-EXEMPT"),
        Customer("CUST-UNTAXED", "Nobody Decided Ltd"),
    ),
)
# The dump holds hashes of these; every home of a test gets them before its first start.
PASSWORDS = {"admin": "tests-only-admin-password", "service": "tests-only-service-password"}
CACHE = Path.home() / ".cache" / "tieline" / "tryton"


@dataclass(frozen=True, slots=True)
class RunningTryton:
    server: product.TrytonServer
    endpoint: product.TrytonEndpoint


@contextmanager
def running(postgres: Endpoint, home: Path) -> Iterator[RunningTryton]:
    """A server of its own on a fresh clone; both are gone afterwards."""
    database = databases.clone(postgres, template(postgres))
    server = on_database(database.owner, home)
    try:
        yield RunningTryton(server, server.start())
    finally:
        server.stop()
        databases.drop(postgres, database)


def on_database(url: str, home: Path) -> product.TrytonServer:
    """Not started yet. `home` gets the passwords of the tests."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "passwords.json").write_text(json.dumps(PASSWORDS))
    return product.TrytonServer(home, database_url=url, company=ENTITY, today=TODAY)


def template(postgres: Endpoint) -> str:
    """The name of a template with Tryton and the legal entity above in it."""
    key = _key()
    dump = CACHE / f"{key}.dump"
    unfinished = f"tryton_{key}_unfinished"  # what databases.template calls it while it is built

    def build(url: str) -> None:
        plain = postgres.libpq_url(Role.OWNER, unfinished)
        if dump.exists():
            _run("pg_restore", "--no-owner", "--exit-on-error", "--single-transaction", "-d", plain, str(dump))
            return
        with tempfile.TemporaryDirectory() as home:
            server = on_database(url, Path(home))
            server.start()
            server.stop()
        _keep(plain, dump)

    return databases.template(postgres, f"tryton_{key}", build)


def _keep(url: str, dump: Path) -> None:
    dump.parent.mkdir(parents=True, exist_ok=True)
    unfinished = dump.with_suffix(f".{os.getpid()}")
    _run("pg_dump", "--format=custom", "-f", str(unfinished), url)
    for old in dump.parent.glob("*.dump"):
        old.unlink(missing_ok=True)
    unfinished.rename(dump)


def _key() -> str:
    """Names everything that decides what is in the dump."""
    installed = {d.name: d.version for d in distributions() if d.name.startswith("trytond")}
    found = hashlib.sha256(f"{sorted(installed.items())} {installed_binaries().major}".encode())
    for source in [*sorted(Path(product.__file__).parent.glob("tryton_*.py")), Path(__file__)]:
        found.update(source.read_bytes())
    return found.hexdigest()[:16]


def _run(program: str, *arguments: str) -> None:
    command = [str(installed_binaries().program(program)), *arguments]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=120)

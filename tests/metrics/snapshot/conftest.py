"""One seeded firm a run, cloned for each test; one snapshot of it for all tests that only look at its files."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from app.postgres.embedded import Endpoint
from metrics.snapshot.package import Package
from metrics.snapshot.table import Table
from metrics.snapshot.tables import tables_of
from metrics.snapshot.take import moment_of, take
from sync_core.clock import VirtualClock
from sync_core.store.migrate import migrate
from tests import databases, rows
from tests.conftest import APP_ROLE
from tests.metrics.snapshot.firm import Firm, seeded

CONTRACTS = 1_200


@pytest.fixture(scope="session")
def firm_template(server: Endpoint) -> str:
    def build(url: str) -> None:
        migrate(url, app_role=APP_ROLE)
        seeded(url, CONTRACTS)

    return databases.template(server, "tieline_snapshot_firm", build)


@pytest.fixture
def one(server: Endpoint, firm_template: str) -> Iterator[Firm]:
    urls = databases.clone(server, firm_template)
    engine = sa.create_engine(urls.app)
    yield Firm(engine, VirtualClock(rows.NOW), rows.estate())
    engine.dispose()
    databases.drop(server, urls)


@pytest.fixture(scope="session")
def looked_at(server: Endpoint, firm_template: str) -> Iterator[tuple[Package, list[Table]]]:
    urls = databases.clone(server, firm_template)
    engine = sa.create_engine(urls.app)
    one = Firm(engine, VirtualClock(rows.NOW), rows.estate())
    made = one.made()
    as_of = moment_of(engine, one.clock.now().replace(microsecond=999_999))
    yield made, tables_of(take(engine, one.estate, week=one.week, as_of=as_of))
    engine.dispose()
    databases.drop(server, urls)


@pytest.fixture
def made(looked_at: tuple[Package, list[Table]]) -> Package:
    return looked_at[0]


@pytest.fixture
def tables(looked_at: tuple[Package, list[Table]]) -> list[Table]:
    return looked_at[1]

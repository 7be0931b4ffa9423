"""One seeded firm a run, cloned for each test; one snapshot of it for all tests that only look at its files."""

from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest
import sqlalchemy as sa

from app.postgres.embedded import Endpoint
from metrics.snapshot.package import Package
from metrics.snapshot.table import Table
from metrics.snapshot.tables import tables_of
from metrics.snapshot.take import moment_of, take
from sync_core.clock import VirtualClock
from tests import rows
from tests.databases import DatabaseUrls
from tests.filled import filled
from tests.metrics.snapshot.firm import Firm, seeded

CONTRACTS = 1_200


def firm(server: Endpoint) -> AbstractContextManager[DatabaseUrls]:
    return filled(server, "snapshot_firm", lambda url: seeded(url, CONTRACTS))


@pytest.fixture
def one(server: Endpoint) -> Iterator[Firm]:
    with firm(server) as urls:
        engine = sa.create_engine(urls.app)
        yield Firm(engine, VirtualClock(rows.NOW), rows.estate())
        engine.dispose()


@pytest.fixture(scope="session")
def looked_at(server: Endpoint) -> Iterator[tuple[Package, list[Table]]]:
    with firm(server) as urls:
        engine = sa.create_engine(urls.app)
        one = Firm(engine, VirtualClock(rows.NOW), rows.estate())
        made = one.made()
        as_of = moment_of(engine, one.clock.now().replace(microsecond=999_999))
        yield made, tables_of(take(engine, one.estate, week=one.week, as_of=as_of))
        engine.dispose()


@pytest.fixture
def made(looked_at: tuple[Package, list[Table]]) -> Package:
    return looked_at[0]


@pytest.fixture
def tables(looked_at: tuple[Package, list[Table]]) -> list[Table]:
    return looked_at[1]

"""Reads over small hand-made data, and over many rows that are made once per run."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from app.postgres.embedded import Endpoint
from sync_core.clock import VirtualClock
from sync_core.reads import Reads
from sync_core.store.migrate import migrate
from tests import databases, rows

MANY = 30_000


def reads_over(engine: sa.Engine) -> Reads:
    return Reads(engine, clock=VirtualClock(rows.NOW), estate=rows.estate())


@pytest.fixture
def reads(database: sa.Engine) -> Reads:
    return reads_over(database)


def seeded(server: Endpoint, contracts: int) -> Iterator[sa.Engine]:
    """The application's engine on a database with so many contracts. Tests only read it."""

    def build(url: str) -> None:
        migrate(url, app_role="tieline_app")
        rows.seed(url, contracts)

    urls = databases.clone(server, databases.template(server, f"tieline_reads_{contracts}", build))
    engine = sa.create_engine(urls.app)
    yield engine
    engine.dispose()
    databases.drop(server, urls)


@pytest.fixture(scope="session")
def many(server: Endpoint) -> Iterator[sa.Engine]:
    yield from seeded(server, MANY)

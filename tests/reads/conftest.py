"""Reads over small hand-made data, and over many rows that are made once per run."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from app.postgres.embedded import Endpoint
from sync_core.clock import VirtualClock
from sync_core.reads import Reads
from tests import rows
from tests.filled import filled

MANY = 30_000


def reads_over(engine: sa.Engine) -> Reads:
    return Reads(engine, clock=VirtualClock(rows.NOW), estate=rows.estate())


@pytest.fixture
def reads(database: sa.Engine) -> Reads:
    return reads_over(database)


def seeded(server: Endpoint, contracts: int) -> Iterator[sa.Engine]:
    """The application's engine on a database with so many contracts. Tests only read it."""
    with filled(server, f"seeded_{contracts}", lambda url: rows.seed(url, contracts)) as urls:
        engine = sa.create_engine(urls.app)
        yield engine
        engine.dispose()


@pytest.fixture(scope="session")
def many(server: Endpoint) -> Iterator[sa.Engine]:
    yield from seeded(server, MANY)

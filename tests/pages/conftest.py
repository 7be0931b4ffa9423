"""Reads over an empty database and over one with a few hundred contracts, made once per run."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from app.postgres.embedded import Endpoint
from metrics.measures import Measures
from sync_core.clock import VirtualClock
from sync_core.reads import Reads
from tests import rows
from tests.filled import filled
from tests.metrics import support

CONTRACTS = 700  # number 667 is in a currency without a rate


@pytest.fixture
def nothing(database: sa.Engine) -> Reads:
    """A new installation."""
    return Reads(database, clock=VirtualClock(rows.NOW), estate=rows.estate())


@pytest.fixture(scope="session")
def seeded(server: Endpoint) -> Iterator[sa.Engine]:
    """The application's engine on a database with CONTRACTS contracts. Tests only read it."""
    with filled(server, f"measured_{CONTRACTS}", support.measured(CONTRACTS)) as urls:
        engine = sa.create_engine(urls.app)
        yield engine
        engine.dispose()


@pytest.fixture
def measured(seeded: sa.Engine) -> Measures:
    return Measures(seeded, clock=VirtualClock(rows.NOW), estate=rows.estate())


@pytest.fixture
def some(seeded: sa.Engine) -> Reads:
    return Reads(seeded, clock=VirtualClock(rows.NOW), estate=rows.estate())

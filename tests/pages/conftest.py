"""Reads over an empty database and over one with a few hundred contracts, made once per run."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from app.postgres.embedded import Endpoint
from metrics.measures import Measures
from metrics.refresh import refresh
from sync_core.clock import VirtualClock
from sync_core.reads import Reads
from sync_core.store.migrate import migrate
from tests import databases, rows

CONTRACTS = 700  # number 667 is in a currency without a rate


@pytest.fixture
def nothing(database: sa.Engine) -> Reads:
    """A new installation."""
    return Reads(database, clock=VirtualClock(rows.NOW), estate=rows.estate())


@pytest.fixture(scope="session")
def seeded(server: Endpoint) -> Iterator[sa.Engine]:
    """The application's engine on a database with CONTRACTS contracts. Tests only read it."""

    def build(url: str) -> None:
        migrate(url, app_role="tieline_app")
        rows.seed(url, CONTRACTS)
        measured = sa.create_engine(url)
        refresh(measured, clock=VirtualClock(rows.NOW), estate=rows.estate())
        measured.dispose()

    urls = databases.clone(server, databases.template(server, f"tieline_pages_{CONTRACTS}", build))
    engine = sa.create_engine(urls.app)
    yield engine
    engine.dispose()
    databases.drop(server, urls)


@pytest.fixture
def measured(seeded: sa.Engine) -> Measures:
    return Measures(seeded, clock=VirtualClock(rows.NOW), estate=rows.estate())


@pytest.fixture
def some(seeded: sa.Engine) -> Reads:
    return Reads(seeded, clock=VirtualClock(rows.NOW), estate=rows.estate())

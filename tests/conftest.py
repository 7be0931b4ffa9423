"""Fixtures of all tests: one real PostgreSQL per run, a migrated template in it, a database like that per test."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from functools import cache
from typing import Final

import httpx
import pytest
import sqlalchemy as sa
from hypothesis import settings
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from streamlit.components.v2 import manifest_scanner

from app.postgres.embedded import Endpoint
from sync_core.store.migrate import migrate
from tests import databases, tryton_server
from tests.databases import DatabaseUrls
from tests.tryton_server import RunningTryton
from tests.washed import Washed

APP_ROLE = "tieline_app"

# Properties are tried with the same examples in each run, so that a run says something of the change that it is of.
# TIELINE_EXAMPLES=random draws new ones.
EXAMPLES: Final = os.environ.get("TIELINE_EXAMPLES", "same")
# No deadline: how long an example takes says what else the machine does.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("random", deadline=None)
settings.load_profile(EXAMPLES)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs a real Tryton comes first and together, so that one worker starts the only one."""
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)


@pytest.fixture(scope="session", autouse=True)
def what_the_machine_holds_is_read_once() -> Iterator[None]:
    """Each page without a browser begins a runtime of Streamlit's, which looks for components in the metadata of all
    installed packages; each client of httpx reads all certificates that this machine trusts. Half of what a test of a
    page takes, 50 ms of each that asks by HTTP, and the same each time.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
        patch.setattr("httpx._transports.default.create_ssl_context", cache(httpx.create_ssl_context))
        yield


@pytest.fixture(scope="session")
def server(testrun_uid: str) -> Iterator[Endpoint]:
    """The run's PostgreSQL, shared by all xdist workers."""
    with databases.test_server(testrun_uid) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def template(server: Endpoint) -> str:
    """A database with this release's tables, to clone from."""
    return databases.template(server, "tieline_template", lambda url: migrate(url, app_role=APP_ROLE))


@pytest.fixture(scope="session")
def washed(server: Endpoint, template: str) -> Iterator[Washed]:
    """The databases of this process's tests."""
    with closing(Washed(server, template)) as found:
        yield found


@pytest.fixture
def database_urls(washed: Washed) -> Iterator[DatabaseUrls]:
    """A fresh migrated database for one test."""
    urls = washed.lend()
    yield urls
    washed.take_back(urls)


@pytest.fixture
def database(database_urls: DatabaseUrls) -> Iterator[sa.Engine]:
    """Sync engine with the application's rights."""
    engine = sa.create_engine(database_urls.app)
    yield engine
    engine.dispose()


@pytest.fixture
async def async_database(database_urls: DatabaseUrls) -> AsyncIterator[AsyncEngine]:
    """Async engine with the application's rights."""
    engine = create_async_engine(database_urls.app, pool_size=8)
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
def tryton(server: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningTryton]:
    """A real Tryton on a database of its own, for all tests of this process that ask for it."""
    with tryton_server.running(server, tmp_path_factory.mktemp("tryton")) as running:
        yield running

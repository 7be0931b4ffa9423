"""Test only: databases that are filled once per run and cloned for each test that changes them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.postgres.embedded import Endpoint
from sync_core.store.migrate import migrate
from tests import databases
from tests.conftest import APP_ROLE
from tests.databases import DatabaseUrls


@contextmanager
def filled(server: Endpoint, name: str, fill: Callable[[str], None]) -> Iterator[DatabaseUrls]:
    """A clone of the migrated database `name`, dropped at the end. `fill` gets the owner's URL, the first time."""

    def build(url: str) -> None:
        migrate(url, app_role=APP_ROLE)
        fill(url)

    urls = databases.clone(server, databases.template(server, f"tieline_{name}", build))
    try:
        yield urls
    finally:
        databases.drop(server, urls)

"""A house per test: its own database, and no process left behind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.cloud_firm import SECRETS
from tests.acceptance.processes import House
from tests.databases import DatabaseUrls

LEASE_S = 6.0  # a worker that stands still loses its contracts so soon


@pytest.fixture
def house(tmp_path: Path, database_urls: DatabaseUrls) -> Iterator[House]:
    with House(tmp_path, database_urls, SECRETS, lease_s=LEASE_S) as opened:
        yield opened

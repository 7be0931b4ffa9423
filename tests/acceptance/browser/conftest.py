"""One browser and one firm for the tests of this folder."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from app.postgres.embedded import Endpoint
from tests import databases
from tests.acceptance.browser.firm import Firm, opened
from tests.acceptance.cloud_firm import SECRETS
from tests.acceptance.processes import House
from tests.chromium import chromium


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="package")
def firm(server: Endpoint, template: str, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firm]:
    urls, place = databases.clone(server, template), tmp_path_factory.mktemp("firm")
    secrets = {**SECRETS, "TIELINE_POLICY": str(place / "policy.toml")}
    with House(place, urls, secrets) as house, opened(house, browser) as firm:
        yield firm
    databases.drop(server, urls)

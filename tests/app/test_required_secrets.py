"""Variables that the estate file names are asked for before anything starts, and only those."""

import asyncio
from pathlib import Path

import pytest
from rich.console import Console

from app.cli.refusals import Exit
from app.progress import Progress
from app.settings import InvalidSettings, load
from app.up import Up
from app.wiring import DEMO_ESTATE, Wiring
from sync_core.errors import InvalidEstate
from tests.app.forked import tieline
from tests.app.test_cli import refused


def test_a_secret_that_nobody_set_is_named_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"TIELINE_SANDBOX_CLOUD_SECRET: .* the secret of ERP cloud"):
        Wiring(load(home=tmp_path), "up").require_secrets()


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"currency.USD" = "01"', '"currency.USD" = "41"', "currency.KWD and currency.USD have the same code '41'"),
        ('zone = "Asia/Kuwait"\nopens', 'zon = "Asia/Kuwait"\nopens', "zon is no option of it; did you mean zone"),
        ('"currency.USD" =', '"curency.USD" =', "no group 'curency'; did you mean currency"),
        ("token_env =", "tokn_env =", "clm clm: tokn_env is no option of it; did you mean token_env"),
        (
            "poll_every_s = 30\n\n# Legal",
            'options = { page_size = "0" }\n\n# Legal',
            "page_size must be a whole number",
        ),
    ],
)
def test_what_connectors_would_refuse_is_told_before_anything_starts(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    given = DEMO_ESTATE.read_text(encoding="utf-8")
    assert old in given
    (tmp_path / "estate.toml").write_text(given.replace(old, new, 1))
    home = tmp_path / "home"
    refused(tieline(home, "policy", "check", TIELINE_ESTATE=str(tmp_path / "estate.toml")), Exit.SETTINGS, complaint)
    started = Up(load(home=home, estate=tmp_path / "estate.toml"), Progress(Console()), demo=False)
    with pytest.raises(InvalidEstate, match=complaint):
        asyncio.run(started.run())
    assert not home.exists() or not list(home.iterdir()), "nothing was begun"


@pytest.mark.parametrize("beside", [None, "tryton"])
def test_the_demo_and_what_runs_beside_it_make_up_their_own(tmp_path: Path, beside: str | None) -> None:
    wiring = Wiring(load(home=tmp_path, beside=beside), "up")
    wiring.home.prepare()
    wiring.home.make_secrets()
    wiring.require_secrets()

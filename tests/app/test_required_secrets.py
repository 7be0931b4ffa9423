"""Variables that the estate file names are asked for before anything starts, and only those."""

from pathlib import Path

import pytest

from app.settings import InvalidSettings, load
from app.wiring import Wiring


def test_a_secret_that_nobody_set_is_named_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"TIELINE_SANDBOX_CLOUD_SECRET: .* the secret of ERP cloud"):
        Wiring(load(home=tmp_path), "up").require_secrets()


@pytest.mark.parametrize("beside", [None, "tryton"])
def test_the_demo_and_what_runs_beside_it_make_up_their_own(tmp_path: Path, beside: str | None) -> None:
    wiring = Wiring(load(home=tmp_path, beside=beside), "up")
    wiring.home.prepare()
    wiring.home.make_secrets()
    wiring.require_secrets()

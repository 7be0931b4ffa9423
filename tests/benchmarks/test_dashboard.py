"""The dashboard benchmark runs and says all that it promises; its figures mean nothing at these sizes."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PARTS = {"reads", "cpu", "sql", "figures", "script", "statements"}


@pytest.mark.long  # minutes
@pytest.mark.timeout(900)
def test_the_dashboard_benchmark_measures_every_page_every_kpi_and_the_refresh_at_each_size() -> None:
    with tempfile.TemporaryDirectory() as kept:
        Path(kept).chmod(0o711)  # the account that runs the server passes through
        told, _ = measured(kept)
        again, said = measured(kept)
    assert said.count("as it was kept") == 2
    assert {s: of["seeded_s"] for s, of in again["sizes"].items()} == {
        s: of["seeded_s"] for s, of in told["sizes"].items()
    }
    assert told["contracts"] == 1200
    assert list(told["sizes"]) == ["400", "1200"]
    paths = {one["page"].partition(",")[0] for one in told["pages"]}
    assert paths >= {"executive", "exceptions", "contracts", "contract", "replay", "approvals", "audit", "measure"}
    assert all(one["ms"] > 0 for one in (*told["pages"], *told["kpis"]))
    assert {"cycle-time", "cycle-time by week", "cycle-time, rows"} <= {one["kpi"] for one in told["kpis"]}
    assert told["refreshed_per_s"] > 0
    for size in told["sizes"].values():
        assert size["changed_s"]["median"] > 0
        assert size["again_s"]["median"] > 0
        for parts in size["pages"].values():
            assert parts.keys() == PARTS
            assert parts["reads"]["min"] <= parts["reads"]["median"] <= parts["reads"]["max"]
    assert isinstance(told["misses"], list)


def measured(kept: str) -> tuple[dict[str, Any], str]:
    """The JSON line, and what was said besides."""
    command = [sys.executable, "-m", "benchmarks.dashboard", "--json", "--sizes", "400,1200", "--rounds", "1"]
    done = subprocess.run([*command, "--keep", kept], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found, done.stderr

"""The dashboard benchmark runs and says all that it promises; its figures mean nothing at these sizes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = {"reads", "cpu", "sql", "figures", "script", "statements"}


@pytest.mark.long  # a minute
def test_the_dashboard_benchmark_measures_every_page_every_kpi_and_the_refresh_at_each_size() -> None:
    command = [sys.executable, "-m", "benchmarks.dashboard", "--json", "--sizes", "400,1200", "--rounds", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
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

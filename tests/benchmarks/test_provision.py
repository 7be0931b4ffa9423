"""The provisioning benchmark runs and says all that it promises; its figures mean nothing at this size."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TINY = ["--json", "--contracts", "40", "--rounds", "1", "--workers", "1", "--erps", "1"]
PROMISED = {
    "bare", "contracts_per_s", "bare_contracts_per_s", "cpu_ms_per_contract", "bare_cpu_ms", "commits_per_contract",
    "fsyncs_per_contract", "wal_kb_per_contract", "calls_per_contract",
}  # fmt: skip


def test_the_provisioning_benchmark_measures_both_loops_with_the_same_calls() -> None:
    command = [sys.executable, "-m", "benchmarks.provision", *TINY]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout.splitlines()[-1])
    assert measured.keys() >= PROMISED
    assert all(measured[name] > 0 for name in PROMISED)
    [only] = measured["rounds"]
    assert only["ratio"] == measured["bare"]
    assert only["core"]["calls"] == only["bare"]["calls"] >= 7

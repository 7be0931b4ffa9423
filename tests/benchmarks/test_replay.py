"""The replay benchmark runs and says all that it promises; its figures mean nothing at this size."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.replay import MEASURED

ROOT = Path(__file__).parents[2]
PROMISED = {f"{kind}_{what}" for kind in ("fast", "slow") for what in MEASURED}


def test_the_replay_benchmark_previews_and_verifies_every_item() -> None:
    command = [sys.executable, "-m", "benchmarks.replay", "--json", "--contracts", "60", "--rounds", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout.splitlines()[-1])
    assert measured.keys() >= PROMISED
    assert all(measured[name] > 0 for name in PROMISED)

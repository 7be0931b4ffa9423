"""`tieline` as its tests call it by the dozen: see tests/command_line.py. tests/app/test_cli.py starts it each time."""

import subprocess
from pathlib import Path

from tests import command_line
from tests.app.test_cli import environment


def tieline(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return command_line.run(arguments, environment(home, **more))

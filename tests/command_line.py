"""`tieline` in a process of its own that costs no second of imports: it is forked from one that has done them.

Its arguments, environment, output, exit code and connections are its own, as those of a process that was started. What
this does not show is that a command finds its imports: tests/app/test_cli.py, the acceptance tests, and every command
that runs until it is stopped start the program as a person does.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from typing import Final

_HOST: Final = Path(__file__).with_name("forking_host.py")
_LONGEST: Final = 64
DEADLINE_S: Final = 60.0


class Host:
    """One for each process that runs tests; started by the first command."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(_HOST), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
                pass_fds=[theirs.fileno()],
            )
        self._one_at_a_time = Lock()
        atexit.register(self.close)

    def run(self, arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        asked = {"arguments": json.dumps(arguments), "environment": json.dumps(dict(environment))}
        with self._one_at_a_time, TemporaryFile() as out, TemporaryFile() as err:
            socket.send_fds(self._ours, [json.dumps(asked).encode()], [out.fileno(), err.fileno()])
            child = int(self._told())
            self._ours.settimeout(DEADLINE_S)
            try:
                code = int(self._told())
            except TimeoutError as wrong:
                os.kill(child, signal.SIGKILL)
                raise subprocess.TimeoutExpired(["tieline", *arguments], DEADLINE_S) from wrong
            finally:
                self._ours.settimeout(None)
            for file in (out, err):
                file.seek(0)
            return subprocess.CompletedProcess(["tieline", *arguments], code, out.read().decode(), err.read().decode())

    def _told(self) -> bytes:
        told = self._ours.recv(_LONGEST)
        assert told, "the host of commands has ended"
        return told

    def close(self) -> None:
        self._ours.close()
        self._process.wait()


@cache
def host() -> Host:
    return Host()


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Nothing of our own environment but what is given."""
    return host().run(arguments, environment)

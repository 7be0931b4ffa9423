"""The operating system account that the embedded PostgreSQL runs as, and running programs as it.

postgres refuses to run as root. Started by root, it runs as an unprivileged account that already exists;
we add none, because that would outlive us. Whether that account reaches a path is tried, not computed
from mode bits: access lists, noexec mounts and user namespaces decide too.
"""

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.postgres.errors import PermissionRefused

_CANDIDATES = ("tieline", "postgres", "nobody")

# Nothing is inherited: PGDATA, PGOPTIONS or a locale of the caller would change what the server does.
_ENVIRONMENT = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs the server. `switch` is true when we are root and must become this account."""

    name: str
    uid: int
    gid: int
    switch: bool

    def run(
        self, command: Sequence[str | Path], *, stdin: str = "", timeout_s: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program as this account with stderr joined to stdout; a failure is the caller's to judge.

        Raises PermissionError when the account may not execute it, TimeoutExpired after `timeout_s`.
        """
        return subprocess.run(  # noqa: S603 (programs of ours, no shell)
            [str(part) for part in command],
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            env=_ENVIRONMENT,
            cwd="/",
            umask=0o077,
            user=self.uid if self.switch else None,
            group=self.gid if self.switch else None,
            extra_groups=() if self.switch else None,
        )

    def reaches(self, directory: Path) -> bool:
        return not self.switch or self._passes('cd "$1"', directory)

    def executes(self, program: Path, *, reading: Path) -> bool:
        return not self.switch or self._passes('test -x "$1" && test -r "$2"', program, reading)

    def _passes(self, script: str, *paths: Path) -> bool:
        return self.run(["/bin/sh", "-c", script, "sh", *paths], timeout_s=10).returncode == 0


def account_for(data_dir: Path) -> Account:
    """The owner of the data directory if it stands already, else ourselves, or for root an unprivileged account."""
    if os.geteuid() != 0:
        return _account(pwd.getpwuid(os.geteuid()), switch=False)
    if data_dir.exists():
        owner = data_dir.stat().st_uid
        if owner != 0:
            return _account(pwd.getpwuid(owner), switch=True)
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in _CANDIDATES:
        if name in known and known[name].pw_uid != 0:
            return _account(known[name], switch=True)
    raise PermissionRefused(data_dir, f"root may not run PostgreSQL and none of {', '.join(_CANDIDATES)} exists")


def _account(entry: pwd.struct_passwd, *, switch: bool) -> Account:
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, switch)

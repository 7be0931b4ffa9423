"""What Tieline keeps in its home besides the database: who runs, secrets that were made up, where sandboxes answer.

run.lock       held by `tieline up`; the kernel frees it when that process ends, however it ends
run.json       who holds it, and its URL
secrets.toml   (0600) secrets of the sandbox systems and of the cookies, the keys that sign the audit and snapshots;
               made once
checkpoints/   signed checkpoints of the audit, one a day
snapshots/     weekly snapshots, unless the estate sends them elsewhere
sandbox.json   where the sandbox systems answer
"""

import base64
import fcntl
import json
import os
import secrets
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from app.cli.refusals import Exit, Refusal, unusable
from app.postgres.home import make_passable


def _webhook_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def _ed25519_key() -> str:
    """Any 32 bytes are an Ed25519 key."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


_MADE_UP = {
    "TIELINE_SANDBOX_CLM_SECRET": _webhook_secret,
    "TIELINE_SANDBOX_CLM_TOKEN": secrets.token_urlsafe,
    "TIELINE_SANDBOX_CLOUD_SECRET": secrets.token_urlsafe,
    "TIELINE_SANDBOX_LEGACY_SECRET": secrets.token_urlsafe,
    "TIELINE_SANDBOX_MDM_TOKEN": secrets.token_urlsafe,
    "TIELINE_SANDBOX_ADMIN_TOKEN": secrets.token_urlsafe,
    "STREAMLIT_SERVER_COOKIE_SECRET": secrets.token_urlsafe,
    "TIELINE_AUDIT_KEY": _ed25519_key,
    "TIELINE_SNAPSHOT_KEY": _ed25519_key,
}


class Home:
    """One directory; one `tieline up` at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    def prepare(self) -> None:
        """Make it, and try it: a home that cannot be written is better known now than in the middle of something."""
        probe = self.path / ".probe"
        try:
            make_passable(self.path)
            probe.write_bytes(b"x" * 4096)
            probe.unlink()
        except OSError as wrong:
            raise unusable(self.path, wrong) from wrong

    @contextmanager
    def held(self) -> Iterator[None]:
        """Raises Refusal that says which process holds the home already."""
        handle = os.open(self.path / "run.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as taken:
                raise Refusal(self._who(), Exit.ALREADY_RUNNING) from taken
            yield
        finally:
            os.close(handle)

    def _who(self) -> str:
        running = self.running()
        pid, url = running.get("pid", "unknown"), running.get("url", "an unknown address")
        return (
            f"Tieline runs already in {self.path} (process {pid}) at {url}: stop it first, or set another TIELINE_HOME."
        )

    def running(self) -> Mapping[str, str]:
        """`pid` and `url` as the last `tieline up` wrote them; empty before the first."""
        return self._read("run.json")

    def note_running(self, *, pid: int, url: str) -> None:
        self._write("run.json", json.dumps({"pid": str(pid), "url": url}))

    def sandbox_addresses(self) -> Mapping[str, str]:
        """URL by the system's name in the estate."""
        return self._read("sandbox.json")

    def note_sandbox(self, addresses: Mapping[str, str]) -> None:
        self._write("sandbox.json", json.dumps(dict(addresses), indent=2))

    def secrets(self) -> Mapping[str, str]:
        """Those made up so far; empty before `make_secrets`."""
        path = self.path / "secrets.toml"
        if not path.exists():
            return {}
        return {name: str(value) for name, value in tomllib.loads(path.read_text()).items()}

    def make_secrets(self) -> Mapping[str, str]:
        """Make up what is missing; what is there stays for good."""
        kept = dict(self.secrets())
        missing = {name: make() for name, make in _MADE_UP.items() if name not in kept}
        if missing:
            kept |= missing
            lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in kept.items())
            self._write("secrets.toml", f"# Made up by Tieline for its sandbox systems and cookies.\n{lines}")
        return kept

    def _read(self, name: str) -> Mapping[str, str]:
        path = self.path / name
        if not path.exists():
            return {}
        found: dict[str, str] = json.loads(path.read_text())
        return found

    def _write(self, name: str, text: str) -> None:
        """Whole or not at all."""
        new = self.path / f"{name}.new"
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path / name)

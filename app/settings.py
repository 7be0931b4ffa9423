"""The settings: the only file that reads the environment.

All names begin with TIELINE_, but for DATABASE_URL. An empty variable counts as unset. Secrets of the estate are
named by the estate file and read by `secret`; a value in the environment goes before one in the home.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from sync_core.errors import TielineError

_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")


class InvalidSettings(TielineError):
    """A setting cannot be used; the message names it."""

    code = "settings.invalid"


def _database_url(given: SecretStr) -> SecretStr:
    """As libpq reads it: `postgresql://...`, whatever PostgreSQL scheme was given."""
    scheme, found, rest = given.get_secret_value().partition("://")
    if not found or scheme not in _SCHEMES:
        raise ValueError(
            "must look like postgresql://user@host:5432/database, with a password after the user if it needs one"
        )
    url = f"postgresql://{rest}"
    try:
        conninfo_to_dict(url)
    except psycopg.ProgrammingError as wrong:
        raise ValueError("is no PostgreSQL URL: percent-encode special characters in its password") from wrong
    return SecretStr(url)


DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]


class Settings(BaseSettings):
    """What one process is told from outside. See docs/estate.md for what it reads from the estate file."""

    model_config = SettingsConfigDict(
        env_prefix="TIELINE_", env_ignore_empty=True, extra="ignore", frozen=True, populate_by_name=True
    )

    home: Path = Path(".tieline")
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    database_url: Annotated[DatabaseUrl | None, Field(validation_alias="DATABASE_URL")] = None
    database_owner_url: DatabaseUrl | None = None
    database_direct_url: DatabaseUrl | None = None
    read_database_url: DatabaseUrl | None = None
    estate: Path | None = None
    policy: Path | None = None
    audit_checkpoints: Path | None = None
    beside: Literal["tryton"] | None = None
    tryton_database_url: DatabaseUrl | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] | None = None  # None: by who reads it, see app/telemetry/logs.py
    otlp_endpoint: Annotated[str | None, Field(pattern=r"^https?://[^\s@]+$")] = None
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    worker_lease_s: Annotated[float, Field(ge=1, le=3600)] | None = None
    allowed_hosts: str = "localhost,127.0.0.1"
    public_url: str | None = None
    behind_tls: bool = False
    trusted_proxies: Annotated[int, Field(ge=0, le=10)] = 0
    demo_contracts: Annotated[int, Field(ge=0, le=100_000)] = 450
    demo_per_minute: Annotated[float, Field(ge=0, le=600)] = 2.0
    # Set by `tieline up` for its parts: sockets it listens on for them, and the pipe that tells them it lives.
    listen_fds: dict[str, int] = {}
    lifeline_fd: int | None = None
    log_part: str = ""

    @property
    def hosts(self) -> tuple[str, ...]:
        """Host names that browsers may use, the public one included."""
        public = (self.public_url or "").partition("://")[2].partition("/")[0].partition(":")[0]
        given = [name.strip() for name in self.allowed_hosts.split(",")]
        return tuple(dict.fromkeys(name for name in (*given, public) if name))

    def address_env(self, name: str) -> str:
        """The variable that may hold the URL of a CLM or ERP of the estate."""
        return f"TIELINE_URL_{''.join(c if c.isalnum() else '_' for c in name.upper())}"

    def address(self, name: str) -> str | None:
        return os.environ.get(self.address_env(name)) or None

    def secret(self, variable: str) -> str | None:
        """The value of a variable that the estate file names."""
        return os.environ.get(variable) or None

    def child_environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """The environment of a process that we start."""
        return {**os.environ, **more}


def load(**given: object) -> Settings:
    """From the environment; `given` (the command line) goes before it. Raises InvalidSettings."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as wrong:
        first = wrong.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        variable = name if name == "DATABASE_URL" else f"TIELINE_{name.upper()}"
        words = str(first["msg"]).removeprefix("Value error, ")
        raise InvalidSettings(f"{variable}: {words[:1].lower()}{words[1:]}; correct it and start again") from wrong


def masked(url: str) -> str:
    """The URL without its password, for people and logs."""
    parts = conninfo_to_dict(url)
    where = f"{parts.get('host') or 'localhost'}:{parts.get('port') or 5432}"
    return f"postgresql://{parts.get('user') or ''}@{where}/{parts.get('dbname') or ''}"

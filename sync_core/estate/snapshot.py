"""Where the weekly snapshot goes and when it is made: `[snapshot]` of the estate file. See docs/snapshots.md."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from typing import ClassVar, Final
from urllib.parse import urlsplit

from pydantic import ConfigDict

from sync_core.errors import InvalidEstate

HOME: Final = "home"  # the folder snapshots/ in the home of whichever worker delivers

_VARIABLE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
_PROTOCOL: Final = re.compile(r"[a-z][a-z0-9+-]{0,19}")


@dataclass(frozen=True)
class SnapshotPolicy:
    """Secrets stand in variables, never here."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    at: time = time(4)  # on Mondays in the group's zone, for the week that ended
    deliver: tuple[str, ...] = (HOME,)  # folders and object storage as fsspec URLs
    mail_env: tuple[str, ...] = ()  # variables with Apprise URLs: the board pack goes there
    secret_env: Mapping[str, str] = field(default_factory=dict)  # by protocol, a variable with fsspec options as JSON


def check(policy: SnapshotPolicy) -> None:
    """Raises InvalidEstate that names the key and what to put there."""
    if policy.at.tzinfo is not None:
        raise InvalidEstate("[snapshot]: at is a time of the group's zone; leave its own zone out")
    for target in policy.deliver:
        _target(target)
    for name in (*policy.mail_env, *policy.secret_env.values()):
        if not _VARIABLE.fullmatch(name):
            raise InvalidEstate(f"[snapshot]: {name[:40]!r} is no name of a variable, such as NORTHFIELD_BOARD_MAIL")
    every = (*policy.deliver, *policy.mail_env)
    if len(set(every)) < len(every):
        raise InvalidEstate("[snapshot]: deliver and mail_env name a target twice")


def _target(target: str) -> None:
    if target == HOME:
        return
    parts = urlsplit(target)
    if not _PROTOCOL.fullmatch(parts.scheme) or not (parts.netloc or parts.path.strip("/")):
        raise InvalidEstate(f"[snapshot]: deliver {target[:80]!r} is no URL such as file:///srv/board or s3://bucket/a")
    if "@" in parts.netloc or parts.query:
        raise InvalidEstate("[snapshot]: deliver holds a user, a password or options; put them into a variable and "
                            "name that in secret_env")  # fmt: skip

"""Who the command line acts as: the person whose account runs it, with every role.

Whoever can run commands on this machine reads the database's password there, so refusing them would protect nothing;
what they do is audited under `cli:<account>`.
"""

import os
import pwd

from sync_core.authority import Actor, ActorKind, Grant, Role

CLI = "cli:"  # what the names of such people begin with, and nobody else's
EVERYTHING = tuple(
    Grant(role) for role in (Role.ADMINISTRATOR, Role.OPERATOR, Role.APPROVER, Role.AUDITOR, Role.EXECUTIVE)
)


def operator_of_this_machine() -> Actor:
    """All roles for all legal entities, named by the operating system's account."""
    return Actor(f"{CLI}{_account()}", ActorKind.PERSON, EVERYTHING)


def _account() -> str:
    number = os.getuid()
    try:
        name = pwd.getpwuid(number).pw_name
    except KeyError:  # a container's account often has no name
        return str(number)
    return "".join(mark if mark.isascii() and mark.isprintable() else "?" for mark in name)

"""Seeded randomness for the sandboxes: the same names give the same numbers, on every machine and in any order."""

from random import Random


def chance(*names: object) -> Random:
    """An independent generator per combination of names, for instance (seed, "signing", 42)."""
    return Random("/".join(str(name) for name in names))  # noqa: S311 - made-up contracts need no secrecy

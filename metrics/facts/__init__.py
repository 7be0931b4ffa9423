"""What was known when: one module a fact, each with FACT. A refresh keeps versions and what the latest add up to."""

import pkgutil
from functools import cache
from importlib import import_module

from metrics.facts.fact import Fact


@cache
def facts() -> dict[str, Fact]:
    """By name, in the order in which a refresh writes them."""
    names = sorted(one.name for one in pkgutil.iter_modules(__path__) if not one.name.startswith("_"))
    found = [getattr(import_module(f"{__name__}.{name}"), "FACT", None) for name in names]
    return {fact.name: fact for fact in found if fact is not None}

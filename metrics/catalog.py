"""All KPIs: one module each in metrics/kpis, found by discovery."""

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

import metrics.kpis as package
from metrics.kpi import Kpi


@cache
def kpis() -> Mapping[str, Kpi[Any]]:
    """By slug, in alphabetical order."""
    names = (one.name for one in pkgutil.iter_modules(package.__path__) if not one.name.startswith("_"))
    found: list[Kpi[Any]] = [import_module(f"{package.__name__}.{name}").KPI for name in names]
    return {kpi.definition.slug: kpi for kpi in sorted(found, key=lambda kpi: kpi.definition.slug)}

"""What numbers are compared with: the value of a KPI alone, by as few reads as it takes."""

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import add
from typing import Any, Protocol, runtime_checkable

from metrics.cells import Need
from metrics.kpi import Kpi, Value
from metrics.source import Source


@runtime_checkable
class Headlined(Protocol):
    """A KPI whose headline needs less than all its figures do."""

    def headline_needs(self) -> Sequence[Need]:
        """As Kpi.needs."""
        ...

    def headline_inputs(self, source: Source) -> Any:
        """Inputs of which the value of `answer` is that of all inputs; its figures are not."""
        ...


def headlines_of(kpis: Iterable[Kpi[Any]], source: Source) -> dict[str, Value]:
    """By slug, from one snapshot; equal to the values of their answers."""
    wanted = list(kpis)
    source.prefetch(need for kpi in wanted for need in _needs(kpi))
    return {kpi.definition.slug: kpi.answer(_inputs(kpi, source), source).value for kpi in wanted}


def _needs(kpi: Kpi[Any]) -> Sequence[Need]:
    return kpi.headline_needs() if isinstance(kpi, Headlined) else kpi.needs(None)


def _inputs(kpi: Kpi[Any], source: Source) -> Any:
    if isinstance(kpi, Headlined):
        return kpi.headline_inputs(source) if source.as_of is not None else kpi.nothing()
    return reduce(add, kpi.read(source, None).values(), kpi.nothing())

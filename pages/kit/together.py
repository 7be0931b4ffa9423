"""The KPIs of a page in one snapshot; one that cannot be read fails where it is drawn, and no other with it."""

from collections.abc import Iterator, Mapping, Sequence

from metrics.asking import Ask, By, InvalidAsk
from metrics.kpi import Result, Value
from metrics.measures import Measures
from sync_core.authority import Forbidden

Wanted = Mapping[str, By | None]


class Together(Mapping[str, Result]):
    """Results by slug. Reading the one that failed raises what it failed with: each card contains its own."""

    def __init__(self, results: Mapping[str, Result], failed: Mapping[str, Exception]) -> None:
        self._results, self._failed = results, failed

    def __getitem__(self, slug: str) -> Result:
        if slug in self._failed:
            raise self._failed[slug]
        return self._results[slug]

    def __iter__(self) -> Iterator[str]:
        yield from (*self._results, *self._failed)

    def __len__(self) -> int:
        return len(self._results) + len(self._failed)

    @property
    def whole(self) -> Mapping[str, Result]:
        """Those that could be read."""
        return self._results


def together(measures: Measures, wanted: Wanted, ask: Ask) -> Together:
    """From one snapshot; when that fails, one by one. Raises Forbidden."""
    try:
        return Together(measures.several(wanted, ask), {})
    except Forbidden:
        raise
    except Exception:
        return _apart(measures, wanted, ask)


def before(measures: Measures, slugs: Sequence[str], ask: Ask) -> Mapping[str, Value]:
    """The headlines that numbers are compared with: those that cannot be told, or were not known yet, are absent."""
    try:
        return measures.headlines(slugs, ask)
    except InvalidAsk:
        return {}
    except Forbidden:
        raise
    except Exception:
        return {slug: one.answer.value for slug, one in _apart(measures, dict.fromkeys(slugs), ask).whole.items()}


def _apart(measures: Measures, wanted: Wanted, ask: Ask) -> Together:
    results: dict[str, Result] = {}
    failed: dict[str, Exception] = {}
    for slug, by in wanted.items():
        try:
            results[slug] = measures.kpi(slug, ask, by)
        except Exception as error:
            failed[slug] = error
    return Together(results, failed)

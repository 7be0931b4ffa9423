"""Invoices and payments of a dump of sandbox-legacy, page by page."""

from random import Random

from sync_core.connectors.erp.sandbox_legacy.books import dump_of

_FACTS = 2_000


class Read(dict[str, str]):
    """A record that counts how often its number is looked at."""

    looks = 0

    def __getitem__(self, name: str) -> str:
        Read.looks += name == "number"
        return super().__getitem__(name)


def test_each_fact_comes_once_in_the_order_of_its_number_and_is_looked_at_once() -> None:
    numbers = [str(number) for number in range(1, _FACTS + 1)]
    Random(4).shuffle(numbers)
    Read.looks = 0
    dump = dump_of("D1", [Read(type="40", number=number) for number in numbers])
    told, last, more = list[int](), 0, True
    while more:
        page, more = dump.facts_after(last, most=50)
        told += [int(row.get("number", "")) for row in page]
        last = told[-1]
    assert told == list(range(1, _FACTS + 1))
    assert Read.looks <= _FACTS
    assert dump.facts_after(last, most=50) == ([], False)
    assert dump.facts_after(_FACTS - 3, most=2)[1]
    assert dump_of("D2", []).facts_after(0, most=50) == ([], False)

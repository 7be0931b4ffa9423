"""Every number of the rows above the pages opens how it is measured, and the rows that it is made of."""

from collections.abc import Iterator

import pytest
from streamlit.testing.v1.element_tree import Block, Metric

from metrics.measures import Measures
from sync_core.reads import Reads
from tests.pages.stage import play


@pytest.mark.parametrize(
    ("path", "query"),
    [("executive", {}), ("flow", {}), ("exceptions", {"view": "analysis"}), ("platform", {"window": "7d"})],
)
def test_it_opens_its_rows(some: Reads, measured: Measures, path: str, query: dict[str, str]) -> None:
    shown = play(path, some, query, measures=measured)
    assert not shown.exception
    assert not shown.error
    opened = dict(tiles(shown.main))
    assert set(opened) == {metric.label for metric in shown.metric}
    assert len(opened) >= 5
    assert [label for label, queries in opened.items() if len(queries) != 1] == []
    if path == "platform":
        queries = [one for [one] in opened.values()]
        assert all("window=7d" in one for one in queries)
        assert [one.count("section=") for one in queries] == [0, 0, 1, 1, 1, 1]


def tiles(block: Block) -> Iterator[tuple[str, list[str]]]:
    """Of each number that stands in it, where the links beside it lead."""
    for child in block.children.values():
        if isinstance(child, Metric):
            yield child.label, [link.proto.query_string for link in block.get("page_link")]
        elif isinstance(child, Block):
            yield from tiles(child)

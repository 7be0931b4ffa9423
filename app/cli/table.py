"""Tables on a terminal. No word is ever cut: an id, an address or a code can be copied from any width.

Where the longest words do not fit side by side, each row is a paragraph instead, its values in the order of the heads.
In a pipe or a file a row is one line.
"""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

_UNCUT: Final = 1_000  # columns, at least
_GAP: Final = 2  # between two columns
_INDENT: Final = "    "  # of a paragraph's second line


def table(*columns: str) -> Table:
    """Empty. Cells are markup: escape the words of others."""
    return Table(*columns, box=None, pad_edge=False)


def draw(drawn: Table, console: Console | None = None) -> None:
    """As wide as the terminal. `console`: another place than stdout."""
    console = console or Console()
    if not console.is_terminal:
        asked = sum(max(map(_longest_line, cells), default=0) + _GAP for cells in _columns(drawn))
        console.width = max(_UNCUT, asked)
    if _fits(drawn, console.width):
        console.print(drawn)
        return
    for paragraph in _paragraphs(drawn, console.width):
        console.print(Text(paragraph), soft_wrap=True)


def _fits(drawn: Table, width: int) -> bool:
    """Gives each column its longest word, and of what is left a share by how much more it asks for."""
    least = [max(map(_longest_word, cells), default=0) for cells in _columns(drawn)]
    more = [max(map(_longest_line, cells), default=0) - low for cells, low in zip(_columns(drawn), least, strict=True)]
    spare = width - sum(least) - _GAP * (len(least) - 1)
    if spare < 0:
        return False
    for column, low, asked in zip(drawn.columns, least, more, strict=True):
        column.width = low + min(asked, spare * asked // max(sum(more), 1))
        column.overflow = "fold"
    return True


def _paragraphs(drawn: Table, width: int) -> Iterator[str]:
    for row in zip(*_columns(drawn), strict=True):
        told = "  ".join(" ".join(cell.split()) or "-" for cell in row)
        if told.strip("- "):  # a table without heads
            yield textwrap.fill(told, width, subsequent_indent=_INDENT, break_long_words=False, break_on_hyphens=False)


def _columns(drawn: Table) -> list[Sequence[str]]:
    """Head and cells of each column as they are read."""
    return [[Text.from_markup(str(cell)).plain for cell in (one.header, *one.cells)] for one in drawn.columns]


def _longest_word(cell: str) -> int:
    return max(map(cell_len, cell.split()), default=0)


def _longest_line(cell: str) -> int:
    return max(map(cell_len, cell.splitlines()), default=0)

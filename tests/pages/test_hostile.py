"""Texts of others stay texts on every page: no markup, no links, nothing that turns or stalls what stands beside."""

import re

import pytest
import sqlalchemy as sa
from streamlit.testing.v1 import AppTest

from pages.kit import format as fmt
from sync_core.reads import Reads
from tests.hostile import BLOCKS, HTML, HUGE, LINKS, MARKDOWN, RIGHT_TO_LEFT
from tests.pages.stage import play
from tests.reads.handmade import add_case, add_contract
from tests.reads.hostile_contract import hostile_contract

UNESCAPED = re.compile(r"(?<!\\)(?:\\\\)*[*_`~<>\[\]()#|$=]")


@pytest.mark.parametrize("text", [HTML, MARKDOWN, BLOCKS, LINKS])
def test_no_mark_of_markdown_or_html_is_left_bare(text: str) -> None:
    assert UNESCAPED.search(fmt.plain(text)) is None


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Total\n===", "Total\n\\=\\=\\="),
        ("a\n\n    code", "a\n\ncode"),
        ("    code", "code"),
        ("a  \nb", "a\nb"),
        ("R&D &lt;b&gt;", "R\\&D \\&lt;b\\&gt;"),
        ("back\\*slash", "back\\\\\\*slash"),
    ],
)
def test_what_would_be_a_block_is_a_line(text: str, written: str) -> None:
    assert fmt.plain(text) == written


def test_marks_that_turn_the_reading_direction_are_gone_and_letters_stay() -> None:
    assert fmt.plain(RIGHT_TO_LEFT) == "Invoice gpj\\.exe and moc\\.live"
    assert fmt.shown("\u0645\u0631\u062d\u0628\u0627\u202e") == "\u0645\u0631\u062d\u0628\u0627"


def test_a_huge_text_is_cut_where_it_is_shown() -> None:
    assert len(fmt.shown(HUGE)) == fmt.LONGEST + 1
    assert fmt.shown(HUGE).endswith("…")


@pytest.fixture
def hostile(database: sa.Engine) -> int:
    return hostile_contract(database)


def read_as_markdown(shown: AppTest) -> list[str]:
    """Every text of the page that Streamlit reads as Markdown."""
    found = [one.value for one in (*shown.markdown, *shown.caption, *shown.info, *shown.error, *shown.warning)]
    found += [one.value for one in shown.metric]
    found += [one.label for one in (*shown.button, *shown.expander, *shown.radio)]
    found += [str(option) for one in shown.radio for option in one.options]
    for table in shown.table:
        found += [str(cell) for cell in table.value.to_numpy().flat]
    return found


MARKS = ("<script", "<img", "<b ", "**strong", "~~gone", "[click", "](", "===", ":red[", "# Heading", "\u202e")


def bare(texts: str) -> list[tuple[str, str]]:
    """Marks of hostile texts that would be read as such, each with what stands around the first one."""
    found = [(mark, re.search(rf"(?<!\\){re.escape(mark)}", texts)) for mark in MARKS]
    return [(mark, texts[max(0, at.start() - 80) :][:200]) for mark, at in found if at is not None]


@pytest.mark.parametrize("path", ["contracts", "contract", "exceptions"])
def test_hostile_texts_are_escaped_wherever_markdown_is_read(path: str, hostile: int, nothing: Reads) -> None:
    shown = play(path, nothing, {"id": str(hostile)})
    assert not shown.exception
    assert not shown.error
    assert bare("\n".join(read_as_markdown(shown))) == []


def test_hostile_texts_were_drawn_at_all(hostile: int, nothing: Reads) -> None:
    texts = "\n".join(read_as_markdown(play("contract", nothing, {"id": str(hostile)}))).replace("\\", "")
    for part in ("<script>", "**strong**", "~~gone~~", "# Heading", "evil.example/login"):
        assert part in texts


@pytest.mark.parametrize("path", ["contracts", "contract", "exceptions"])
def test_a_megabyte_in_a_title_or_message_stalls_no_page(path: str, database: sa.Engine, nothing: Reads) -> None:
    contract = add_contract(database, state="blocked", title=HUGE, last_error=HUGE)
    add_case(database, contract, "po_missing", message=HUGE)
    shown = play(path, nothing, {"id": str(contract)})
    assert not shown.exception
    assert not shown.error
    assert max(len(text) for text in read_as_markdown(shown)) < 5 * fmt.LONGEST
    for grid in shown.dataframe:
        assert max(len(str(cell)) for cell in grid.value.to_numpy().flat) <= fmt.LONGEST + 1

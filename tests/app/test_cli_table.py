"""Tables on a terminal of 80 columns: ids, addresses and codes whole, words wrapped; in a pipe one line a row."""

import errno
import io
import os
import pty
import subprocess
from pathlib import Path

import pytest
import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from app.cli.table import draw, table
from app.cli.work import money
from sync_core.money import Money
from tests.app.forked import tieline
from tests.app.test_cli import DEADLINE_S, TIELINE, environment
from tests.databases import DatabaseUrls
from tests.reads.handmade import add_case, add_contract, add_quarantined

ID, PERSON, CAUSE = "C-2026-000123-LONDON", "ada.lovelace@meridian.example", "payment_terms_missing"
WORDS = "the customer's payment terms are in no agreement that anybody has seen"


def shown(drawn: Table, *, width: int = 80, terminal: bool = True) -> list[str]:
    said = io.StringIO()
    draw(drawn, Console(file=said, width=width, force_terminal=terminal, color_system=None))
    return [line.rstrip() for line in said.getvalue().splitlines()]


def wide() -> Table:
    drawn = table("id", "contract", "cause", "assignee", "what is wrong")
    drawn.add_row("4711", ID, CAUSE, PERSON, WORDS)
    drawn.add_row("4712", ID, CAUSE, "", "brief")
    return drawn


def narrow() -> Table:
    drawn = table("id", "contract", "what is wrong")
    drawn.add_row("4711", ID, WORDS)
    return drawn


def test_words_wrap_beside_ids_that_stay_whole() -> None:
    assert shown(narrow()) == [
        "id    contract              what is wrong",
        "4711  C-2026-000123-LONDON  the customer's payment terms are in no agreement",
        "                            that anybody has seen",
    ]


def test_rows_that_do_not_fit_become_paragraphs_of_whole_words() -> None:
    assert shown(wide()) == [
        "id  contract  cause  assignee  what is wrong",
        "4711  C-2026-000123-LONDON  payment_terms_missing  ada.lovelace@meridian.example",
        "    the customer's payment terms are in no agreement that anybody has seen",
        "4712  C-2026-000123-LONDON  payment_terms_missing  -  brief",
    ]


@pytest.mark.parametrize("width", range(20, 200, 7))
@pytest.mark.parametrize("made", [wide, narrow])
def test_no_width_cuts_a_word(made: type[Table], width: int) -> None:
    lines = shown(made(), width=width)
    words = " ".join(lines).split()
    assert {"4711", ID, *WORDS.split()} <= set(words)
    assert "…" not in "".join(lines)
    longest = max(len(word) for word in words)
    assert max(map(len, lines)) <= max(width, longest + 8)


def test_in_a_pipe_a_row_is_one_line() -> None:
    assert len(shown(wide(), terminal=False)) == 3


@pytest.mark.parametrize(
    ("command", "whole"),
    [
        (("exceptions", "list"), [ID, CAUSE]),
        (("exceptions", "groups"), [CAUSE]),
        (("quarantine", "list"), [f"{ID}-Q"]),
        (("status",), ["waiting"]),
    ],
)
def test_a_real_terminal_of_80_columns_cuts_nothing(
    tmp_path: Path, database: sa.Engine, database_urls: DatabaseUrls, command: tuple[str, ...], whole: list[str]
) -> None:
    contract = add_contract(database, external_id=ID, state="blocked")
    add_case(database, contract, CAUSE, function="finance_operations", message=WORDS, assignee=PERSON)
    add_quarantined(database, f"{ID}-Q", hours=1)
    said = on_a_terminal(tmp_path, *command, DATABASE_URL=database_urls.app_libpq)
    words = " ".join(said).split()
    assert set(whole) <= set(words), said
    assert "…" not in "".join(said)
    assert max(map(len, said)) <= 80
    plain = tieline(tmp_path, *command, DATABASE_URL=database_urls.app_libpq)
    assert set(whole) <= set(plain.stdout.split())


def on_a_terminal(home: Path, *arguments: str, **more: str) -> list[str]:
    """Lines that the command writes to a terminal of 80 columns."""
    ours, its = pty.openpty()
    with subprocess.Popen(
        [*TIELINE, *arguments], env=environment(home, COLUMNS="80", TERM="dumb", **more), stdin=subprocess.DEVNULL,
        stdout=its, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        os.close(its)
        said = bytearray()
        while part := _read(ours):
            said += part
        assert process.wait(DEADLINE_S) == 0
    os.close(ours)
    return said.decode().splitlines()


def _read(terminal: int) -> bytes:
    """Empty when its other side is closed: Linux says so by EIO."""
    try:
        return os.read(terminal, 65_536)
    except OSError as wrong:
        if wrong.errno != errno.EIO:
            raise
        return b""


def test_in_a_pipe_a_row_of_many_words_is_one_line_too() -> None:
    drawn = table("id", "what is wrong")
    drawn.add_row("1", "word " * 400)
    out = io.StringIO()
    draw(drawn, Console(file=out, width=80))
    assert len(out.getvalue().splitlines()) == 2


def test_money_has_the_decimals_of_its_currency() -> None:
    shown = [
        money(Money.of(amount, currency)) for amount, currency in (("1250.5", "KWD"), (1250, "JPY"), (1250, "USD"))
    ]
    assert shown == ["1,250.500 KWD", "1,250 JPY", "1,250.00 USD"]
    assert money(None) == ""

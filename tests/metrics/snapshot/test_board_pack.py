"""What a board sees of the pack: nothing left out without a word, no word broken, nothing covered."""

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pypdf
import pytest

from metrics.kpi import Answer, Better
from metrics.snapshot.content import Content, KpiTaken
from metrics.snapshot.pdf import board_pack, described
from metrics.snapshot.take import take
from metrics.targets import HALF_MISSED
from tests.metrics.snapshot.firm import Firm

BLUE = (0x2F, 0x66, 0xE0)  # of lines in charts


@pytest.fixture
def content(one: Firm) -> Content:
    one.later(timedelta(hours=1))
    return take(one.engine, one.estate, week=one.week + timedelta(days=7), as_of=one.caught_up())


def pages(content: Content) -> list[Any]:
    return list(pypdf.PdfReader(io.BytesIO(board_pack(content, release="1"))).pages)


def lines(page: Any) -> list[str]:
    return [line.strip() for line in page.extract_text().splitlines()]


def worse(one: KpiTaken) -> KpiTaken:
    """1,000 above or below what it was before."""
    sign = -1 if one.definition.better is Better.HIGHER else 1
    now, before = (replace(one.headline, value=1_000.0 * (2 + sign * by), n=30) for by in (1, 0))
    return replace(one, answer=now, previous=before, pooled=None)


def test_the_cover_says_how_many_more_got_worse_and_begins_with_money(content: Content) -> None:
    """Eleven of the twelve measures get worse: one has no better."""
    all_worse = replace(content, kpis=tuple(map(worse, content.kpis)))
    told = described(all_worse, release="1")
    fell = [panel["title"] for panel in told["panels"] if panel["got"] == "worse"]
    assert len(fell) == 11
    assert told["subline"] == (
        "Worse: Revenue-impacting changes stuck (+$1.00K), Signed to billed, unexplained (+$1.00K), "
        "Saved against the baseline (\u2212$1.00K), Contract-to-project cycle time, Auto-provisioned contracts, "
        "Amendment sync lag and 5 more."
    )


@pytest.mark.parametrize("many", [1, 7, 8])
def test_a_few_that_got_worse_are_all_named(content: Content, many: int) -> None:
    kpis = [one for one in content.kpis if one.definition.better is not Better.NEITHER]
    some = replace(content, kpis=tuple(map(worse, kpis[:many])))
    told = described(some, release="1")
    named = [panel["title"] for panel in told["panels"] if panel["title"] in told["subline"]]
    assert (len(named), " more." in told["subline"]) == ((many, False) if many <= 7 else (6, True))


LONG = {"exception-resolution": 98.0, "cycle-time": 6_432.1, "amendment-lag": 102.8, "auto-provisioned": 0.722}


def long_texts(one: KpiTaken) -> KpiTaken:
    """Values, changes and moments as long as they are in a firm."""
    if one.definition.slug in LONG:
        now = replace(one.headline, value=LONG[one.definition.slug], n=1_431, n_open=1_113)
        return replace(one, answer=now, previous=replace(now, value=LONG[one.definition.slug] - 64), pooled=None)
    if one.at is not None:
        return replace(one, previous=replace(one.answer, value=1.0), data_as_of=one.at - timedelta(minutes=5))
    return one


def test_all_measures_stand_on_one_page_and_no_word_is_broken(content: Content) -> None:
    long = replace(content, kpis=tuple(map(long_texts, content.kpis)))
    _, table, after, *_ = pages(long)
    told = lines(table)
    assert told[1] == "All measures"
    assert lines(after)[1] == "Measure by measure", "no row is left over for another page"
    for one in long.kpis:
        whole = one.definition.title
        split = [f"{whole[:at].rstrip()}\n{whole[at:].lstrip()}" for at, mark in enumerate(whole) if mark == " "]
        assert any(form in "\n".join(told) for form in (whole, *split)), "two lines at most, between words"
    assert any("+64.0 working h" in line for line in told), "in one line"
    assert sum("data as of " in line for line in told) == sum(one.facts_at is not None for one in long.kpis)


def test_no_sign_of_a_card_covers_its_line(content: Content) -> None:
    half = next(one.definition.further[0] for one in content.kpis if one.definition.slug == "cycle-time")
    [taken] = [one for one in content.kpis if one.definition.slug == "cycle-time"]
    figures = tuple(
        replace(figure, value=half.target * 2, at_least=None) if figure.key == half.figure else figure
        for figure in taken.headline.figures
    )
    half_missed = replace(taken, answer=replace(taken.headline, value=0.5, n=58, figures=figures), pooled=None)
    changed = replace(content, kpis=tuple(half_missed if one is taken else one for one in content.kpis))
    [card] = [one for one in described(changed, release="1")["cards"] if one["slug"] == "cycle-time"]
    assert card["status"] == HALF_MISSED
    cover = pages(changed)[0]
    signs = list(placed(cover, ("half of", "on target", "off target")))
    assert len(signs) > 2
    for x, y in signs:
        covered = [(at, up) for at, up in drawn(cover) if x - 6 < at < x + 60 and y - 8 < up < y + 16]
        assert covered == [], "a line ends before the sign begins"


def placed(page: Any, beginnings: tuple[str, ...]) -> Iterator[tuple[float, float]]:
    """Where texts begin, in points from the lower left."""
    found: list[tuple[float, float]] = []

    def note(text: str, cm: list[float], tm: list[float], *_: Any) -> None:
        if text.strip().startswith(beginnings):
            found.append(at(cm, tm[4], tm[5]))

    page.extract_text(visitor_text=note)
    yield from found


def drawn(page: Any) -> list[tuple[float, float]]:
    """The points of blue lines."""
    found: list[tuple[float, float]] = []
    path: list[tuple[float, float]] = []
    paint: list[tuple[int, ...]] = [()]

    def note(operator: bytes, operands: list[Any], cm: list[float], _tm: list[float]) -> None:
        if operator in (b"m", b"l"):
            path.append(at(cm, float(operands[0]), float(operands[1])))
        elif operator in (b"RG", b"SCN") and len(operands) == 3:
            paint[0] = tuple(round(float(part) * 255) for part in operands)
        elif operator in (b"S", b"s", b"f", b"f*", b"B", b"n"):
            found.extend(path if operator == b"S" and paint[0] == BLUE else ())
            path.clear()

    page.extract_text(visitor_operand_before=note)
    return found


def at(cm: list[float], x: float, y: float) -> tuple[float, float]:
    return cm[0] * x + cm[2] * y + cm[4], cm[1] * x + cm[3] * y + cm[5]


def test_why_entities_have_no_percentile_is_said_once(content: Content) -> None:
    few = {f"UK-{n}": Answer(None, n, why_none=f"n = {n}: below 20 cases a percentile says nothing") for n in range(9)}
    few["US"], few["UK-0"] = Answer(0.5, 58), Answer(None, 0)
    kpis = [replace(one, entities=few) for one in content.kpis if one.definition.slug == "cycle-time"]
    [panel] = described(replace(content, kpis=tuple(kpis)), release="1")["panels"]
    assert [row["why"] for row in panel["entities"]] == ["", *(f"n = {n}" for n in range(8, 1, -1))]
    assert panel["entities_say"] == "Below 20 cases a percentile says nothing."
    *_, page, _, _ = pages(replace(content, kpis=tuple(kpis)))
    assert lines(page).count(panel["entities_say"]) == 1
    assert "UK-8 n = 8" in " ".join(lines(page))
    enough = [replace(kpis[0], entities={"US": few["US"], "UK-0": few["UK-0"]})]
    [panel] = described(replace(content, kpis=tuple(enough)), release="1")["panels"]
    assert ([row["why"] for row in panel["entities"]], panel["entities_say"]) == (["", "no cases"], "")

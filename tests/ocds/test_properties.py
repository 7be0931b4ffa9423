"""Whatever a file holds: each release becomes exactly one thing, and an amount is the file's or nothing."""

import json
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from sync_core.commands.ocds_import import Imported, statements
from sync_core.money import quantum
from sync_core.ocds.deciding import Became, decide
from sync_core.ocds.history import Version
from sync_core.ocds.packaging import releases
from sync_core.ocds.rules import Rules
from tests.ocds.releases import SOURCE, Json, contract, ocds_estate, release

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
MINOR = st.integers(0, 10**15)
CURRENCIES = st.sampled_from(["USD", "PYG", "KWD", "EUR"])
DATES = st.sampled_from(["2025-03-05T12:00:00Z", "2025-04-05T12:00:00-03:00", "2025-05-05"])
AMENDMENTS = st.lists(st.fixed_dictionaries({"id": st.integers(0, 3)}), max_size=2)


@st.composite
def whole(draw: st.DrawFn) -> Json:
    currency = draw(CURRENCIES)
    amount = str(Decimal(draw(MINOR)) * quantum(currency))
    one = contract(
        id=draw(st.sampled_from(["1", "2"])),
        value={"amount": amount, "currency": currency},
        status=draw(st.sampled_from(["active", "pending", "cancelled", "terminated"])),
        amendments=draw(AMENDMENTS),
    )
    listed = [one, {**one, "id": "3"}] if draw(st.booleans()) else [one]
    return release(draw(st.sampled_from(["r-1", "r-2", "r-3"])), draw(DATES), contracts=listed)


@st.composite
def spoilt(draw: st.DrawFn) -> object:
    """A release with something else in one of its places."""
    made = draw(whole())
    held = draw(st.sampled_from([made, made["contracts"][0]]))  # type: ignore[index]
    held[draw(st.sampled_from(sorted(held)))] = draw(JUNK)
    return made


DOCUMENTS = st.lists(
    whole() | spoilt() | JUNK | st.lists(whole(), max_size=2).map(lambda r: {"releases": r}), max_size=8
)


def taken(lines: list[bytes]) -> tuple[Imported, dict[str, list[Version]], int]:
    """As the command does it, without a database: what each became, the record, and how many releases were read."""
    known, done = ocds_estate(), Imported()
    read = list(releases(lines))
    record: dict[str, list[Version]] = {}
    for one in sorted(statements(read, Rules.of(known.clms[SOURCE], known), done), key=lambda one: one.order):
        decision = decide(record.setdefault(one.external_id, []), one, SOURCE, known)
        if decision.finding is not None:
            done.found(decision.finding)
        else:
            done.note(one.place, decision.became)
        if decision.events and decision.version is not None:
            record[one.external_id].append(decision.version)
    return done, record, len(read)


@settings(deadline=None, max_examples=150)
@given(DOCUMENTS)
def test_what_releases_became_adds_up_to_the_releases_read(documents: list[object]) -> None:
    lines = [f"{json.dumps(one)}\n".encode() for one in documents]
    done, _, read = taken(lines)
    assert sum(done.count(kind) for kind in Became) == len(done.became) == read
    assert all(finding.message and finding.place.number in done.became for finding in done.findings)


@settings(deadline=None, max_examples=150)
@given(st.lists(whole(), max_size=6))
def test_the_same_file_twice_is_the_file_and_its_repeats(documents: list[Json]) -> None:
    lines = [f"{json.dumps(one)}\n".encode() for one in documents]
    once, first, _ = taken(lines)
    twice, both, _ = taken(lines * 2)
    assert both == first
    for kind in (Became.CONTRACT, Became.AMENDMENT):
        assert twice.count(kind) == once.count(kind)


@settings(deadline=None, max_examples=200)
@given(MINOR, CURRENCIES, st.sampled_from(["{}", '"{}"', "{}0", "{}e0"]))
def test_an_amount_is_the_files_to_the_last_digit(minor: int, currency: str, written: str) -> None:
    amount = Decimal(minor) * quantum(currency)
    text = format(amount, "f") if "." in format(amount, "f") else f"{amount:f}.0"
    line = json.dumps(release(contracts=[contract(value={"amount": "@", "currency": currency})]))
    _, record, _ = taken([line.replace('"@"', written.format(text)).encode()])
    [[version]] = record.values()
    assert version.terms.value == amount
    assert -version.terms.value.as_tuple().exponent == -quantum(currency).as_tuple().exponent  # type: ignore[operator]

"""Test only: releases written by hand, as a publisher would write them, and what they become."""

import json
from collections.abc import Iterable
from dataclasses import replace

from sync_core.estate.estate import Clm, Estate
from sync_core.ocds.deciding import Decision, decide
from sync_core.ocds.findings import Finding
from sync_core.ocds.history import Version
from sync_core.ocds.packaging import Packed, Read, releases
from sync_core.ocds.reading import Statement, read
from sync_core.ocds.rules import Rules
from tests.sows import estate

SOURCE = "urn:test:ocds"
Json = dict[str, object]


def ocds_estate(**options: str) -> Estate:
    known = estate()
    return replace(known, clm=(*known.clm, Clm("public", SOURCE, "ocds", options=options)))


def contract(**changes: object) -> Json:
    whole: Json = {
        "id": "1",
        "title": "Roof of the town hall",
        "status": "active",
        "dateSigned": "2025-03-03T10:00:00Z",
        "period": {"startDate": "2025-04-01T00:00:00Z", "endDate": "2025-09-30T00:00:00Z"},
        "value": {"amount": 1200.5, "currency": "USD"},
        "suppliers": [{"id": "S-1", "name": "Test Partners LLC"}],
    }
    return {name: value for name, value in {**whole, **changes}.items() if value is not None}


def release(release_id: str = "r-1", date: str | None = "2025-03-05T12:00:00Z", **changes: object) -> Json:
    """`contracts` and all else can be given; None takes away."""
    whole: Json = {
        "ocid": "ocds-test-1",
        "id": release_id,
        "date": date,
        "tag": ["contract"],
        "buyer": {"id": "B-1", "name": "Town of Ashford"},
        "contracts": [contract()],
    }
    return {name: value for name, value in {**whole, **changes}.items() if value is not None}


def lines(*documents: object) -> list[bytes]:
    return [f"{json.dumps(one)}\n".encode() for one in documents]


def packed(*documents: object) -> list[Read]:
    return list(releases(lines(*documents)))


def said(document: Json, **options: str) -> Statement:
    [one] = all_said(document, **options)
    assert isinstance(one, Statement), one
    return one


def finding(document: Json, **options: str) -> Finding:
    [one] = all_said(document, **options)
    assert isinstance(one, Finding), one
    return one


def all_said(document: Json, **options: str) -> list[Statement | Finding]:
    known = ocds_estate(**options)
    [one] = packed(document)
    assert isinstance(one, Packed), one
    return read(one, Rules.of(known.clms[SOURCE], known))


def decided(*documents: Json) -> list[Decision]:
    """One contract's releases, in this order, each beside those before it."""
    record: list[Version] = []
    return [one for document in documents for one in [_decided(said(document), record)]]


def _decided(one: Statement, record: list[Version]) -> Decision:
    decision = decide(record, one, SOURCE, ocds_estate())
    if decision.events and decision.version is not None:
        record.append(decision.version)
    return decision


def became(decisions: Iterable[Decision]) -> list[str]:
    return [one.became.value for one in decisions]

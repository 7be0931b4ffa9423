"""Which releases a file holds, whatever they are packed in.

A file is one JSON document, or a document a line. A document is a release, an array of documents, a release package
(`releases`) or a record package (`records`). A record gives the releases that stand in it; where it only names them,
its compiled release stands for them.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Final, NoReturn

from sync_core.ocds.findings import Finding, Place, Unmapped, Why
from sync_core.ocds.values import Json, Object, identifier, items, text

_LONGEST_NUMBER: Final = 80  # characters


@dataclass(frozen=True, slots=True)
class Packed:
    """One release as read. `published`: when its package was, "" where that is not said."""

    place: Place
    release: Object
    published: str = ""


Read = Packed | Finding


def releases(lines: Iterable[bytes]) -> Iterator[Read]:
    """Each release of a file, or why it cannot be read, in the file's order. Reads a document a line as it comes."""
    for number, read in enumerate(_of_file(iter(lines)), 1):
        yield replace(read, place=replace(read.place, number=number))


def _of_file(lines: Iterator[bytes]) -> Iterator[Read]:
    number, head = 0, b""
    for number, line in enumerate(lines, 1):
        head = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if head.strip():
            break
    if not head.strip():
        return
    try:
        document = _parsed(head)
    except Unmapped:
        yield from _of_whole(number, [head, *lines])
        return
    yield from _of_document(document, f"line {number}", "")
    for later, line in enumerate(lines, number + 1):
        yield from _of_line(later, line)


def _of_whole(number: int, lines: list[bytes]) -> Iterator[Read]:
    """Of one document over many lines; where it is none, of each line by itself."""
    try:
        document = _parsed(b"".join(lines))
    except Unmapped as wrong:
        told = [line for line in lines if line.strip()]
        if 2 * sum(map(_is_object, told)) < len(told):
            yield Finding(wrong.why, Place(0, "the file"), wrong.message)
            return
        for at, line in enumerate(lines, number):
            yield from _of_line(at, line)
        return
    yield from _of_document(document, "", "")


def _of_line(number: int, line: bytes) -> Iterator[Read]:
    if not line.strip():
        return
    try:
        yield from _of_document(_parsed(line), f"line {number}", "")
    except Unmapped as wrong:
        yield Finding(wrong.why, Place(0, f"line {number}"), wrong.message)


def _of_document(document: Json, place: str, published: str) -> Iterator[Read]:
    if isinstance(document, list):
        for number, item in enumerate(document, 1):
            within = _within(place, f"item {number}")
            yield from [_release(item, within, "")] if isinstance(item, list) else _of_document(item, within, "")
    elif isinstance(document, dict) and _is_record(document):
        yield from _of_record(document, place or "the file", published)
    elif isinstance(document, dict) and "releases" in document:
        packed = text(document.get("publishedDate")) or published
        yield from _of_list(document["releases"], place, packed)
    elif isinstance(document, dict) and "records" in document:
        packed = text(document.get("publishedDate")) or published
        for number, record in enumerate(_listed(document["records"]), 1):
            within = _within(place, f"record {number}")
            yield from (
                _of_record(record, within, packed) if isinstance(record, dict) else [_release(record, within, "")]
            )
    else:
        yield _release(document, place or "the file", published)


def _is_record(document: Object) -> bool:
    return "compiledRelease" in document or "versionedRelease" in document or {"ocid", "releases"} <= document.keys()


def _listed(given: Json) -> list[Json]:
    return given if isinstance(given, list) else [given]


def _of_list(listed: Json, place: str, published: str) -> Iterator[Read]:
    for number, item in enumerate(_listed(listed), 1):
        yield _release(item, _within(place, f"release {number}"), published)


def _of_record(record: Object, place: str, published: str) -> Iterator[Read]:
    listed = record.get("releases")
    if any("url" not in one or "ocid" in one for one in items(listed)):
        yield from _of_list(listed, place, published)
        return
    compiled = record.get("compiledRelease")
    if isinstance(compiled, dict):
        yield _release(compiled, place, published)
        return
    words = "the record holds no release, only links to them or nothing; get its releases from the publisher"
    ocid = text(record.get("ocid"))
    yield Finding(Why.NOT_A_RELEASE, Place(0, place, ocid), words)


def _release(document: Json, place: str, published: str) -> Read:
    if not isinstance(document, dict):
        words = "it is no JSON object; a release is one, with ocid, id, date and contracts"
        return Finding(Why.NOT_A_RELEASE, Place(0, place), words)
    named = Place(0, place, text(identifier(document.get("ocid"))), text(identifier(document.get("id"))))
    return Packed(named, document, published)


def _within(place: str, part: str) -> str:
    return f"{place}, {part}" if place else part


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(_parsed(line), dict)
    except Unmapped:
        return False


def _parsed(text_: bytes) -> Json:
    """Raises Unmapped."""
    try:
        found: Json = _loads(text_.decode("utf-8"))
    except (ValueError, RecursionError) as wrong:
        words = "it is nested too deeply" if isinstance(wrong, RecursionError) else str(wrong)
        raise Unmapped(Why.NOT_JSON, f"it is no JSON in UTF-8 ({words}); get the file anew") from wrong
    return found


def _decimal(number: str) -> Decimal:
    exponent = number.lower().partition("e")[2].lstrip("+-")
    if len(number) > _LONGEST_NUMBER or len(exponent) > 4:  # Decimal has limits of its own
        raise ValueError(f"number {number[:20]}... is too long")
    return Decimal(number)


def _whole(number: str) -> int:
    if len(number) > _LONGEST_NUMBER:
        raise ValueError(f"number {number[:20]}... is too long")
    return int(number)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_loads = partial(json.loads, parse_float=_decimal, parse_int=_whole, parse_constant=_no_number)

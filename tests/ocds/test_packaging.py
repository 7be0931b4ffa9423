"""The same releases, however a file packs them; and what is no release is told with its place."""

import gzip
import io
import json

import pytest

from sync_core.ocds.findings import Finding, Why
from sync_core.ocds.packaging import Packed, Read, releases
from tests.ocds.releases import lines, packed, release

ONE, TWO = release("r-1"), release("r-2")
PACKAGE = {"uri": "https://publisher.example/1", "publishedDate": "2025-03-06T00:00:00Z", "releases": [ONE, TWO]}
RECORD = {"ocid": "ocds-test-1", "releases": [ONE, TWO], "compiledRelease": release("compiled")}


def ids(read: list[Read]) -> list[str]:
    return [one.place.release_id for one in read if isinstance(one, Packed)]


def pretty(document: object) -> list[bytes]:
    return json.dumps(document, indent=2).encode().splitlines(keepends=True)


FORMS = {
    "a line each": lines(ONE, TWO),
    "without the last line's end": [*lines(ONE), json.dumps(TWO).encode()],
    "blank lines between": [b"\n", *lines(ONE), b"  \n", *lines(TWO)],
    "a byte order mark": [b"\xef\xbb\xbf" + lines(ONE)[0], *lines(TWO)],
    "an array": lines([ONE, TWO]),
    "an array over many lines": pretty([ONE, TWO]),
    "a package": lines(PACKAGE),
    "a package over many lines": pretty(PACKAGE),
    "a package a line": lines({"releases": [ONE]}, {"releases": [TWO]}),
    "a record package": lines({"records": [RECORD]}),
    "a record a line": lines(RECORD),
    "a record without its compiled release": lines({"ocid": "ocds-test-1", "releases": [ONE, TWO]}),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_file_holds_the_same_releases_in_every_form(form: str) -> None:
    read = list(releases(FORMS[form]))
    assert ids(read) == ["r-1", "r-2"]
    assert [one.place.number for one in read] == [1, 2]
    assert [one.release for one in read if isinstance(one, Packed)] == [
        one.release for one in packed(ONE, TWO) if isinstance(one, Packed)
    ]


def test_gzip_is_read_as_any_other_lines() -> None:
    with gzip.open(io.BytesIO(gzip.compress(b"".join(lines(ONE, TWO))))) as file:
        assert ids(list(releases(file))) == ["r-1", "r-2"]


def test_where_a_record_only_names_its_releases_the_compiled_one_stands_for_them() -> None:
    links = [{"url": "https://publisher.example/r-1", "date": "2025-03-05T12:00:00Z", "tag": ["contract"]}]
    assert ids(packed({"records": [{"ocid": "o", "releases": links, "compiledRelease": ONE}]})) == ["r-1"]
    [none] = packed({"records": [{"ocid": "o", "releases": links}]})
    assert isinstance(none, Finding)
    assert (none.why, str(none.place)) == (Why.NOT_A_RELEASE, "line 1, record 1 (o)")


def test_the_date_of_a_package_is_kept_for_releases_without_one() -> None:
    assert [one.published for one in packed(PACKAGE) if isinstance(one, Packed)] == ["2025-03-06T00:00:00Z"] * 2


def test_a_broken_line_is_one_finding_and_stops_no_other() -> None:
    for broken in (b'{"ocid": "x", \n', b"\xff\xfe\n", b'{"a": NaN}\n', b'{"a": ' + b"9" * 100 + b"}\n", b"[" * 9_999):
        for read in (list(releases([*lines(ONE), broken, *lines(TWO)])), list(releases([broken, *lines(ONE, TWO)]))):
            assert ids(read) == ["r-1", "r-2"]
            [wrong] = [one for one in read if isinstance(one, Finding)]
            assert (wrong.why, wrong.place.words[:5]) == (Why.NOT_JSON, "line ")
            assert "get the file anew" in wrong.message


def test_a_file_that_is_no_json_is_one_finding_whatever_its_lines() -> None:
    [wrong] = releases([b"<html>\n", b"<body>\n", b"</html>\n"])
    assert isinstance(wrong, Finding)
    assert (wrong.why, wrong.place.words, wrong.place.number) == (Why.NOT_JSON, "the file", 1)
    assert list(releases([])) == list(releases([b"\n", b" \n"])) == []


def test_what_is_no_object_is_told_where_it_stands() -> None:
    read = packed({"releases": [ONE, 7]}, [[ONE]], {"records": ["x"]}, "text")
    assert [(one.place.words, isinstance(one, Finding)) for one in read] == [
        ("line 1, release 1", False),
        ("line 1, release 2", True),
        ("line 2, item 1", True),
        ("line 3, record 1", True),
        ("line 4", True),
    ]


def test_a_number_keeps_its_digits() -> None:
    [one] = releases([b'{"ocid": "o", "id": "r", "amount": 1234567890123456.10, "whole": 90071992547409931}'])
    assert isinstance(one, Packed)
    assert [str(one.release["amount"]), str(one.release["whole"])] == ["1234567890123456.10", "90071992547409931"]

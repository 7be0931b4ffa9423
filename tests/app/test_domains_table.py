"""docs/domains.md says what the code says."""

from pathlib import Path

from app.published.domains_table import DOCUMENT, main, matrix, written
from sync_core.domains.domains import DOMAINS

ROOT = DOCUMENT.parents[1]


def test_the_document_is_as_the_code_has_it() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert written(text) == text, "run `make docs`"


def test_it_is_written_where_it_is_asked(tmp_path: Path) -> None:
    copy = tmp_path / "domains.md"
    copy.write_text(DOCUMENT.read_text(encoding="utf-8").replace("| CLM |", "| nobody |"))
    main(copy)
    assert copy.read_text(encoding="utf-8") == DOCUMENT.read_text(encoding="utf-8")


def test_each_domain_has_both_directions_and_is_enforced_somewhere() -> None:
    assert matrix().count("CLM → Tieline → ERP") == len(DOMAINS) == 12
    for domain in DOMAINS.values():
        for way in (domain.down, domain.up):
            assert (ROOT / way.enforced_in).is_file(), way.enforced_in

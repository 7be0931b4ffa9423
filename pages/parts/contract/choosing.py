"""Which contract is meant: those that a link may name, or a search where none is named."""

from collections.abc import Sequence
from typing import Final

from pages.kit import filters, frame
from pages.kit import format as fmt
from sync_core.reads import ContractFilter, ContractRow, Reads, Window

MOST: Final = 20


def draw(reads: Reads, choice: Sequence[ContractRow], *, asked: bool) -> None:
    """`choice`: several contracts of the id that was asked for."""
    if choice:
        with frame.card("choice", "Several contracts have this id", "Each CLM gives its own; choose one"):
            _links(choice, reads)
        return
    sub = "By id, title, customer or project"
    with frame.card("unknown", "No such contract" if asked else "Find a contract", sub):
        if asked:
            frame.empty("Tieline knows no contract by this link.", "It may be mistyped, or belong to another "
                        "installation.", icon=":material/search_off:")  # fmt: skip
        text = filters.text("find", "Search", placeholder="Id, title, customer or project")
        if text:
            found = reads.contracts(ContractFilter(text=text, tests=True), window=Window(MOST))
            if not found.rows:
                frame.empty("No contract has this.", "Look for less of it.", icon=":material/search_off:")
            _links(found.rows, reads)
        frame.link("contracts", "All contracts")


def _links(rows: Sequence[ContractRow], reads: Reads) -> None:
    names = {entry.source: entry.name for entry in reads.estate.clm}
    for row in rows:
        parts = [f"{row.external_id} {row.title}".strip(), row.customer_name, names.get(row.source, row.source)]
        frame.link("contract", fmt.plain(", ".join(part for part in parts if part)), id=str(row.contract_id))

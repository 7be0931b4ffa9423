"""One snapshot: its files to take, what it is, where it went, what has been restated, how to check it."""

from functools import partial
from typing import Final

import streamlit as st

from metrics import weeks
from metrics.snapshot.package import KEY_FILE, MANIFEST
from pages.kit import format as fmt
from pages.kit import frame
from pages.kit.table import marked, table
from pages.parts.platform.words import size
from pages.parts.snapshot import words as told
from sync_core.authority import Actor
from sync_core.commands.commands import Commands
from sync_core.reads import Reads
from sync_core.reads.snapshots import KpiChange, SnapshotDetail, SnapshotFile, SnapshotSeal

_HASH: Final = 16
_CHECK: Final = "tieline snapshot key > board-key.pem\ntieline snapshot verify FOLDER --key board-key.pem"


def draw(found: SnapshotDetail, reads: Reads, commands: Commands | None) -> None:
    """Its cards."""
    row = found.snapshot
    if row.state == "failed":
        with frame.card("failed", f"Snapshot {row.snapshot_id} was not made", told.week(row.week)):
            st.warning(fmt.plain(row.error or "Nobody knows why."), icon=":material/error:")
            st.caption(f"{fmt.plural(row.attempts, 'try', 'tries')}; have another one made.")
        return
    if row.state != "made":
        return
    grid = frame.card_grid()
    with grid:
        _files(found, commands)
        _facts(found)
        _deliveries(found)
        with grid.cell(column_span=2):
            _restated(found, reads)
        _check(found)


def _files(found: SnapshotDetail, commands: Commands | None) -> None:
    row = found.snapshot
    whole = sum(one.bytes for one in found.files)
    with frame.card(
        "files", f"{weeks.week_name(row.week)}, files", f"{fmt.plural(len(found.files), 'file')}, {size(whole)}; each "
        "one that is taken is in the audit",
    ):  # fmt: skip
        if commands is None:
            st.caption("Files are taken where commands are; this is a page for reading alone.")
            return
        with st.container(gap="small"):
            _buttons(found, commands)


def _buttons(found: SnapshotDetail, commands: Commands) -> None:
    held, snapshot_id = {one.name: one for one in found.files}, found.snapshot.snapshot_id
    for name, (title, kind, mime, icon) in told.MAIN.items():
        if name in held and name != KEY_FILE:
            _download(held[name], f"{title}, {kind}", mime, icon, snapshot_id, commands)
    tables = told.tables(found.files)
    if not tables:
        return
    chosen = st.selectbox("One table", list(tables), format_func=tables.__getitem__, key="snapshot_table")
    with st.container(horizontal=True, gap="small"):
        for ending, (kind, mime) in told.KINDS.items():
            if (one := held.get(f"{chosen}.{ending}")) is not None:
                _download(one, kind, mime, ":material/download:", snapshot_id, commands)


def _download(
    one: SnapshotFile, label: str, mime: str, icon: str, snapshot_id: int, commands: Commands
) -> None:  # fmt: skip
    st.download_button(
        f"{label}, {size(one.bytes)}", data=partial(_body, commands, frame.actor(), snapshot_id, one.name),
        file_name=f"{snapshot_id}-{one.name}", mime=mime, icon=icon, on_click="ignore",
        key=f"take_{one.name.replace('.', '_').replace('-', '_')}",
    )  # fmt: skip


def _body(commands: Commands, actor: Actor, snapshot_id: int, name: str) -> bytes:
    """Runs when the button is pressed, in a thread of the server's own: it asks the page for nothing."""
    return commands.snapshots.file(actor, snapshot_id, name).body


def _facts(found: SnapshotDetail) -> None:
    row, seal = found.snapshot, found.seal
    with frame.card(
        "facts", "What it is of", "The same as-of, release and key give the same bytes again",
        definition="A snapshot takes in all that is known and then uses the moment of that refresh. It reads versioned "
        "facts only, so what has come to be known since changes nothing in it.",
    ):  # fmt: skip
        rows = [
            ("Week", told.week(row.week)),
            ("As of", fmt.moment(row.as_of) if row.as_of else fmt.DASH),
            ("Made", f"{fmt.moment(row.made_at)}" if row.made_at else fmt.DASH),
            ("Asked for by", told.by(row)),
            ("Measures", f"{seal.measures} in {fmt.plural(seal.tables, 'table')}" if seal else fmt.DASH),
            ("Money in", seal.currency if seal else fmt.DASH),
            ("Release", row.release or fmt.DASH),
            ("Rules version", row.policy_version or fmt.DASH),
        ]
        table("facts", ["What", "Is"], [list(one) for one in rows])


def _deliveries(found: SnapshotDetail) -> None:
    row = found.snapshot
    with frame.card(
        "deliveries", "Delivered", "Where it went, by the estate's section snapshot",
        definition="A target that fails is tried again after 1 minute, 2, 4, up to 6 hours, until it has it. A target "
        "gets the same content once.",
    ):  # fmt: skip
        if row.location is not None:
            st.markdown(f"It was made on the command line and written to {fmt.plain(row.location)}.")
            return
        if not found.deliveries:
            frame.empty("It goes nowhere.", "The estate's section snapshot names targets.", icon=":material/outbox:")
            return
        for one in found.deliveries:
            done = one.delivered_at is not None
            mark = ":green[:material/check_circle:]" if done else ":orange[:material/schedule:]"
            st.markdown(f"{mark} **{fmt.plain(told.target(one))}**")
            where = f" {fmt.plain(one.location)}" if one.location else ""
            st.caption(f"{fmt.plain(told.arrived(one))}.{where}")
            if one.error and not done:
                st.caption(f":orange[{fmt.plain(one.error)}]")


def _restated(found: SnapshotDetail, reads: Reads) -> None:
    row, seal = found.snapshot, found.seal
    with frame.card(
        "restated", "Restated", "What came to be known too late for the first report of this week",
        definition="The first snapshot since the week ended stays as it was. A later one lists what it would have "
        "said otherwise, had all been known that had happened by then; what has happened since is no correction, and "
        "states stay as they were known at the week's end. What a new release measures otherwise is told apart. The "
        "tables restated and moved name the contracts that did it, which field, from what to what, known since when; "
        "the table stated the baselines, assumptions and rates.",
    ):  # fmt: skip
        diff = reads.snapshot_restated(row.snapshot_id)
        if diff is None:
            frame.empty("Nothing was restated.", "This is the first snapshot since its week ended; a later one is held "
                        "against it.", icon=":material/history:")  # fmt: skip
            return
        changed = [one for one in diff.kpis if _differs(one)]
        moved = "" if seal is None else f"; {told.moved_contracts(seal)}"
        st.caption(fmt.plain(f"Held against snapshot {diff.snapshot_id}, as of {fmt.moment(diff.as_of)}{moved}."))
        for sentence in told.otherwise(seal) if seal else ():
            st.caption(fmt.plain(sentence))
        if not changed:
            st.markdown(":material/check_circle: **Every measure still says the same.**")
            return
        marked("restated", ["Measure", "First", "Here", "Change", "Cases", "Moved by"], [
            [fmt.plain(one.title), *map(fmt.plain, told.windows(one, diff)), told.moved(one, diff.currency),
             f"{one.n:,} to {one.other_n:,}", told.moved_by(one)] for one in changed
        ])  # fmt: skip


def _check(found: SnapshotDetail) -> None:
    seal: SnapshotSeal | None = found.seal
    with frame.card(
        "check", "Signature", "Ed25519 over the manifest, which holds the hash of every file",
        definition="Check the key's id with whoever runs Tieline, once, by another way than this page: a folder's own "
        "key shows damage, not forgery.",
    ):  # fmt: skip
        if seal is None:
            return
        st.markdown(f"Key **{fmt.plain(seal.key_id)}**")
        content = found.snapshot.content_id or ""
        st.caption(f"SHA-256 of {fmt.plain(MANIFEST)}: {fmt.plain(content[:_HASH])}…")
        st.code(_CHECK, language=None, wrap_lines=True)
        st.caption("The first line once, from the host that signs. The second works offline and ends with exit code 20 "
                   "when anything is not as it was made.")  # fmt: skip


def _differs(one: KpiChange) -> bool:
    return (one.value, one.n, one.version) != (one.other, one.other_n, one.other_version)

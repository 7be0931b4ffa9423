"""A typed correction: its form is made of the cause's schema, and what it would change is shown as it is filled in."""

import zlib
from collections.abc import Mapping
from functools import partial

import streamlit as st
from pydantic import JsonValue

from pages.kit import acting, frame
from pages.kit import format as fmt
from pages.kit.table import table
from pages.kit.values import shown
from pages.kit.words import words
from pages.parts.case import correction_fields as fields
from sync_core.cases.corrections import CorrectionForm
from sync_core.commands.commands import Commands
from sync_core.commands.corrections import CorrectionPreview
from sync_core.reads.case import CaseAction, CaseDetail

Values = Mapping[str, JsonValue]


def draw(found: CaseDetail, action: CaseAction | None, commands: Commands | None) -> None:
    """Nothing where the cause is mended elsewhere; who may, where this viewer may not."""
    made = found.form
    if made is None or not made.correctable or action is None or found.row.state != "open":
        return
    setters = ", ".join(dict.fromkeys(field.label.lower() for field in made.fields))
    with frame.card("correction", "Correct the contract", f"Sets the {setters}; stored as an event with your name",
                    definition="It stands above the revision it corrects. The next revision from the CLM stands above "
                    "it, so mend it there too."):  # fmt: skip
        allowed = action.allowed(frame.actor())
        if not allowed or commands is None:
            _read_only(made)
            st.markdown(f":material/lock: {fmt.plain(_who(action))}")
            return
        st.fragment(partial(_form, found, made, commands))()


def _who(action: CaseAction) -> str:
    return f"An operator of {words(action.row.function).lower()} may correct it. Hand it over, or ask one."


def _read_only(made: CorrectionForm) -> None:
    labels = {field.path: field.label for field in made.fields}
    rows = [
        [labels.get(path) or words(path.replace(".", ", ")), _as_it_is(path, value)]
        for path, value in fields.flat(made.values).items()
    ]
    table("as_it_is", ["Field", "As it is"], rows)


def _as_it_is(path: str, value: object) -> str:
    if value is None:
        return "–"
    return ("yes" if value else "no") if isinstance(value, bool) else shown(path, str(value))


def _form(found: CaseDetail, made: CorrectionForm, commands: Commands) -> None:
    key = f"fix_{found.row.case_id}_{zlib.crc32(repr(made.values).encode()):x}"
    values = fields.ask(made, key)
    preview = _preview(found, values, made, commands)
    with st.form(f"submit_{key}", border=False):
        reason = st.text_area(
            "Reason",
            max_chars=2_000,
            height=80,
            key=f"why_{key}",
            placeholder="Why this is right; kept in the history and in the audit",
        )
        if st.form_submit_button(
            "Submit the correction", type="primary", icon=":material/build:",
            disabled=preview is None or preview.mends is False,
        ):  # fmt: skip
            _submit(found, values, reason, commands, version=found.row.version)


def _preview(found: CaseDetail, values: Values, made: CorrectionForm, commands: Commands) -> CorrectionPreview | None:
    """What the contract would be; drawn before anything is stored."""
    if values == made.values:
        st.caption("Change a value to see the contract before and after.")
        return None
    do = partial(commands.corrections.preview, frame.actor(), found.row.case_id, values)
    preview, why_not = acting.attempt(do, "The preview")
    if preview is None:
        acting.warn(why_not)
        return None
    currency = found.row.exposure.currency if found.row.exposure else None
    rows = [
        [words(change.field), *(shown(change.field, side, currency) if side else "–"
                                for side in (change.before, change.after))]
        for change in preview.changes
    ]  # fmt: skip
    table("correction", ["Field", "Before", "After"], rows)
    _judged(preview)
    return preview


def _judged(preview: CorrectionPreview) -> None:
    """Exactly what was checked; what only the ERP knows is not promised."""
    if preview.mends:
        badge = ":green-badge[:material/check: Checked]"
    elif preview.mends is None:
        badge = ":blue-badge[:material/help: Only the ERP can tell]"
    else:
        badge = ":orange-badge[:material/warning: Not mended]"
    st.markdown(f"{badge} {fmt.plain(preview.verdict)}")
    for code in preview.unseen:
        st.markdown(f":orange-badge[:material/new_releases: Not seen in this ERP before] {fmt.plain(code)}")
    for finding in preview.remaining:
        st.markdown(f":material/subdirectory_arrow_right: {fmt.plain(words(finding.cause))}: "
                    f"{fmt.plain(finding.message)}")  # fmt: skip


def _submit(found: CaseDetail, values: Values, reason: str, commands: Commands, *, version: int) -> None:
    do = partial(commands.corrections.submit, frame.actor(), found.row.case_id, values, reason, version=version)
    done, why_not = acting.attempt(do, "The correction")
    if done is None:
        acting.why_not(why_not)
        return
    acting.watch(found.row.case_id)
    acting.finish("The correction is stored, and the contract is due at once. The exception closes once a "
                  "run no longer finds its cause.", state="open")  # fmt: skip

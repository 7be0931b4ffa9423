"""What a new installation shows in place of numbers: how the first contract comes in."""

import streamlit as st

from pages.kit import data, frame
from sync_core.reads import Reads

_EVENT = """\
POST /v1/events
content-type: application/cloudevents+json

{
  "specversion": "1.0",
  "id": "C-1001.r1",
  "source": "urn:example:clm",
  "type": "com.tieline.contract.approved.v1",
  "time": "2026-03-02T09:30:00Z",
  "data": {"contract_id": "C-1001", "revision": 1, "approval": "approved"}
}"""


def is_new(reads: Reads) -> bool:
    """Nothing has ever come in."""
    return data.newest(reads) is None and not data.quarantined(reads)


def first_event() -> None:
    """The three steps to a first contract."""
    frame.headline("**No contract has arrived yet.** The numbers appear with the first event.")
    with frame.card_grid():
        with frame.card("connect", "1. Name your systems", "In the estate file"):
            st.markdown(
                "Each CLM, each ERP and each legal entity has an entry in the estate file. The CLM's entry holds its "
                "`source` and the *name* of the environment variable with its webhook secret; never the secret."
            )
        with frame.card("send", "2. Send a first event", "From the CLM, or by hand"):
            st.code(_EVENT, language=None, wrap_lines=True)
            st.caption('The signed command, ready to copy, is in `docs/events.md`, "Send a first event".')
        with frame.card("watch", "3. Watch it arrive", "Here, within seconds"):
            st.markdown(
                "The answer to the request is a receipt. A signed contract then passes validation and its project and "
                "billing schedule are set up in the ERP of its legal entity. Whatever cannot be understood is kept in "
                "quarantine and counted here."
            )

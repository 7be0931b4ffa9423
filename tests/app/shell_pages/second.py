"""A page that fails outside its cards when the URL asks for it, and is stale otherwise."""

from datetime import UTC, datetime, timedelta

import streamlit as st

from pages.kit import frame
from pages.kit.frame import Freshness, Page

PAGE = Page(title="Second", icon=":material/replay:", path="second", order=20)
_NOW = datetime(2026, 11, 23, 6, 3, tzinfo=UTC)


def render(reads: object, commands: object) -> None:
    frame.header("Second", "Late numbers.", Freshness(_NOW - timedelta(hours=3), _NOW, timedelta(minutes=30)))
    if "fail" in st.query_params:
        raise LookupError("the page failed")

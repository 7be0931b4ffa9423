"""A page for one role only, in the menu "More"."""

from pages import _frame as frame
from pages._frame import Page

PAGE = Page(
    title="Audit", icon=":material/policy:", path="audit", order=50, section="More", roles=frozenset({"auditor"})
)


def render(reads: object, commands: object) -> None:
    frame.headline(f"For {frame.viewer().email}")

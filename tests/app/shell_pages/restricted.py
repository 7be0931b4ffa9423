"""A page for auditors only, in the menu "More"."""

from pages.kit import frame
from pages.kit.frame import Page
from sync_core.authority import Permission

PAGE = Page(
    title="Audit", icon=":material/policy:", path="audit", order=50, section="More", needs=Permission.AUDIT_READ
)


def render(reads: object, commands: object) -> None:
    frame.headline(f"For {frame.viewer().email}")

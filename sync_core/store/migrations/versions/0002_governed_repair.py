"""Exceptions that people work on, replay, audit, identity and outgoing delivery. One SQL file per concern beside this.

`%APP_ROLE%` in them is the application's role: it may add to the audit, never change or delete there.
"""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

PARTS = ("audit", "identity", "cases", "replay", "delivery", "scope", "facts")


def upgrade() -> None:
    role = op.get_context().config.attributes["app_role"]
    for part in PARTS:
        text = Path(__file__).with_name(f"0002_{part}.sql").read_text(encoding="utf-8")
        op.execute(text.replace("%APP_ROLE%", f'"{role}"'))


def downgrade() -> None:
    raise RuntimeError("audit and exceptions are not thrown away; restore a backup from before the upgrade instead")

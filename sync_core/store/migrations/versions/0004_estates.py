"""Estates and policy: what decides how contracts are handled. One SQL file per concern beside this.

`%APP_ROLE%` in them is the application's role.
"""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

PARTS = ("policy",)


def upgrade() -> None:
    role = op.get_context().config.attributes["app_role"]
    for part in PARTS:
        text = Path(__file__).with_name(f"0004_{part}.sql").read_text(encoding="utf-8")
        op.execute(text.replace("%APP_ROLE%", f'"{role}"'))


def downgrade() -> None:
    raise RuntimeError("runs name the policy that they were made by; restore a backup from before the upgrade instead")

"""Measures: versioned facts, their rollups, telemetry and what reports need. One SQL file per concern beside this.

`%APP_ROLE%` in them is the application's role.
"""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

PARTS = ("measures", "contract_facts", "amendment_facts", "cash_facts", "cases", "finance", "telemetry", "invoice_facts", "schedule_facts", "case_facts", "money_facts", "snapshots", "reading", "releases")


def upgrade() -> None:
    role = op.get_context().config.attributes["app_role"]
    for part in PARTS:
        text = Path(__file__).with_name(f"0003_{part}.sql").read_text(encoding="utf-8")
        op.execute(text.replace("%APP_ROLE%", f'"{role}"'))


def downgrade() -> None:
    raise RuntimeError("measures hold what was known when; restore a backup from before the upgrade instead")

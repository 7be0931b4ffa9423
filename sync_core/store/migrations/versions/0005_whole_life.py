"""A contract's whole life and the estate around it. One SQL file per concern beside this.

`%APP_ROLE%` in them is the application's role.
"""

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

PARTS = (
    "facts", "policy_proposals", "references", "drift", "schemas", "ownership", "master_data", "moves", "observed",
    "adoption", "lifecycle", "amendments",
)  # fmt: skip


def upgrade() -> None:
    role = op.get_context().config.attributes["app_role"]
    for part in PARTS:
        text = Path(__file__).with_name(f"0005_{part}.sql").read_text(encoding="utf-8")
        op.execute(text.replace("%APP_ROLE%", f'"{role}"'))


def downgrade() -> None:
    raise RuntimeError("contracts have states that the release before does not know; restore a backup instead")

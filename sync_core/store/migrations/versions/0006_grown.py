"""What grew on the whole life. One SQL file per concern beside this.

`%APP_ROLE%` in them is the application's role.
"""

from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# What takes long comes first: the locks on tables of the core are held from where they are taken to the end.
PARTS = ("measures", "batch_refusals", "revenue", "reads")


def upgrade() -> None:
    role = op.get_context().config.attributes["app_role"]
    for part in PARTS:
        text = Path(__file__).with_name(f"0006_{part}.sql").read_text(encoding="utf-8")
        op.execute(text.replace("%APP_ROLE%", f'"{role}"'))


def downgrade() -> None:
    raise RuntimeError("postings of revenue have no place in the release before; restore a backup instead")

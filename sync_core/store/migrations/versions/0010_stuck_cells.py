"""What is stuck, added up by each refresh as of its end. `%APP_ROLE%` in the SQL is the application's role."""

from pathlib import Path

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    role = op.get_context().config.attributes["app_role"]
    text = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.execute(text.replace("%APP_ROLE%", f'"{role}"'))


def downgrade() -> None:
    op.execute("DROP TABLE metrics.stuck_cell; ALTER TABLE metrics.refresh DROP COLUMN stuck_by")

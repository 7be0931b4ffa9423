"""An index by which contracts that are out of step without a difference in money are counted, not looked at."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE INDEX IF NOT EXISTS exposure_fact_in_step
        ON metrics.exposure_fact (legal_entity, currency, test, unverified) WHERE known_to IS NULL AND settled = 0
    """)


def downgrade() -> None:
    op.execute("DROP INDEX IF EXISTS metrics.exposure_fact_in_step")

"""First release: the engine's tables.

The application's role may read and add events, runs and facts; it may not change or delete them.
"""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INSERT_ONLY = ("event", "run", "operation", "progress", "case_history", "financial_fact", "lane_history")
CHANGEABLE = (
    "quarantine",
    "contract",
    "worker",
    "lane",
    "lane_slot",
    "lane_demand",
    "crosswalk",
    '"case"',
    "watermark",
    "job_run",
    "estate_version",
    "login_link",
    "session",
)


def upgrade() -> None:
    op.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
    role = op.get_context().config.attributes["app_role"]
    op.execute(f'GRANT USAGE ON SCHEMA core, telemetry, metrics TO "{role}"')
    for table in INSERT_ONLY:
        op.execute(f'GRANT SELECT, INSERT ON core.{table} TO "{role}"')
    for table in CHANGEABLE:
        op.execute(f'GRANT SELECT, INSERT, UPDATE, DELETE ON core.{table} TO "{role}"')


def downgrade() -> None:
    op.execute("DROP SCHEMA core CASCADE; DROP SCHEMA telemetry CASCADE; DROP SCHEMA metrics CASCADE")

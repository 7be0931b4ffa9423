"""What was put right before the next release. One SQL file per concern beside this."""

from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# Tables of the core are locked from where they are altered to the end: nothing here takes long (0008_drift_turn.py) but
# a key of the measures, which comes first.
PARTS = ("measures", "drift", "customers", "needs")


def upgrade() -> None:
    for part in PARTS:
        op.execute(Path(__file__).with_name(f"0007_{part}.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    raise RuntimeError("the release before would walk past ended contracts again; restore a backup instead")

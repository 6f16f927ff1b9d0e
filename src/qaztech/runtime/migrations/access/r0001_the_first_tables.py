"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Change the tables."""
    op.create_table(
        "access_made",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("member", sa.String(length=400), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("trouble", sa.String(length=64), nullable=True),
        sa.Column("message", sa.String(length=36), nullable=True),
        sa.Column("theirs", sa.String(length=32), nullable=True),
        sa.Column("standing", sa.Text(), nullable=True),
        sa.Column("asked", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_access_made_member"), "access_made", ["member"], unique=False)
    op.create_table(
        "access_received",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("member", sa.String(length=400), nullable=False),
        sa.Column("message", sa.String(length=36), nullable=False),
        sa.Column("service", sa.String(length=1600), nullable=False),
        sa.Column("client", sa.String(length=1200), nullable=False),
        sa.Column("lineage", sa.String(length=64), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("published", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("member", "message"),
    )
    op.create_index(op.f("ix_access_received_member"), "access_received", ["member"], unique=False)
    op.create_table(
        "access_change",
        sa.Column("request", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("who", sa.String(length=1200), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["request"], ["access_received.id"]),
        sa.PrimaryKeyConstraint("request", "number"),
    )

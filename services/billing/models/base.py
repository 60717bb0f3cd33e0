"""What all of billing's tables have in common."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import DateTime, Text
from sqlalchemy.orm import DeclarativeBase

from libs.common.frame_tables import add_frame_tables


class Model(DeclarativeBase):
    """Billing's metadata."""

    type_annotation_map = {str: Text, datetime: DateTime(timezone=True)}  # noqa: RUF012 - SQLAlchemy's own way


add_frame_tables(Model.metadata)

"""A claimed row is worked by one process, until its lease runs out and another takes it over."""

from __future__ import annotations


class LostClaimError(Exception):
    """Somebody else claimed the row meanwhile: this claimant writes no more."""

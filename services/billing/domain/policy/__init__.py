"""The dunning policy: a versioned TOML file, read into plain values and checked as a whole."""

from services.billing.domain.policy.moments import forbidden_why, next_morning
from services.billing.domain.policy.reading import PolicyError, read_policy
from services.billing.domain.policy.values import (
    Declines,
    Does,
    Forbidden,
    Policy,
    Reaction,
    Stage,
    Tries,
)

__all__ = [
    "Declines",
    "Does",
    "Forbidden",
    "Policy",
    "PolicyError",
    "Reaction",
    "Stage",
    "Tries",
    "forbidden_why",
    "next_morning",
    "read_policy",
]

"""What the directory accepts and tells: plain values."""

from services.admin_api.domain.companies import (
    Company,
    Registration,
    changed,
    check_registered_at,
    company_registered,
    company_updated,
    differences,
    ids_in_facts,
    register,
)
from services.admin_api.domain.contacts import Contact, check_contact
from services.admin_api.domain.fields import (
    LONGEST_NAME,
    InvalidError,
    clean_email,
    clean_name,
    clean_phone,
    clean_stripe_customer_id,
)
from services.admin_api.domain.numbers import (
    MOST_AT_ONCE,
    assigned,
    clean_numbers,
    clean_prefix,
    free_from,
    released,
    stocked,
)

__all__ = [
    "LONGEST_NAME",
    "MOST_AT_ONCE",
    "Company",
    "Contact",
    "InvalidError",
    "Registration",
    "assigned",
    "changed",
    "check_contact",
    "check_registered_at",
    "clean_email",
    "clean_name",
    "clean_numbers",
    "clean_phone",
    "clean_prefix",
    "clean_stripe_customer_id",
    "company_registered",
    "company_updated",
    "differences",
    "free_from",
    "ids_in_facts",
    "register",
    "released",
    "stocked",
]

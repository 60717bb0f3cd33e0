"""The admin API's SQL: the directory, and the read models with their folds, a file each."""

from services.admin_api.queries.companies import add_company, change_company, find_company, find_holder
from services.admin_api.queries.contacts import delete_contact, list_contacts, save_contact
from services.admin_api.queries.deliveries import DeliveryState, fold_deliveries, list_deliveries
from services.admin_api.queries.numbers import (
    assign_number,
    count_free,
    find_free_number,
    find_number,
    list_assignments,
    list_numbers,
    release_number,
    stock_numbers,
)
from services.admin_api.queries.routines import (
    RoutineState,
    fold_routines,
    list_routines,
    mark_alarmed,
)
from services.admin_api.queries.set_aside import fold_set_aside, list_set_aside

__all__ = [
    "DeliveryState",
    "RoutineState",
    "add_company",
    "assign_number",
    "change_company",
    "count_free",
    "delete_contact",
    "find_company",
    "find_free_number",
    "find_holder",
    "find_number",
    "fold_deliveries",
    "fold_routines",
    "fold_set_aside",
    "list_assignments",
    "list_contacts",
    "list_deliveries",
    "list_numbers",
    "list_routines",
    "list_set_aside",
    "mark_alarmed",
    "release_number",
    "save_contact",
    "stock_numbers",
]

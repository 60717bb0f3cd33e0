"""Pages of Stripe's lists: newest first, `limit`, `starting_after`, `ending_before`."""

from collections.abc import Callable, Iterator
from itertools import islice

from libs.devstack.stripe_simulator.errors import invalid
from libs.devstack.stripe_simulator.forms import Params
from libs.devstack.stripe_simulator.store import Record

_MOST = 100
_BOUNDS: dict[str, Callable[[int, int], bool]] = {
    "gt": lambda value, bound: value > bound,
    "gte": lambda value, bound: value >= bound,
    "lt": lambda value, bound: value < bound,
    "lte": lambda value, bound: value <= bound,
}


def page(
    url: str, params: Params, newest_first: Iterator[Record], is_wanted: Callable[[Record], bool]
) -> Record:
    """A list object of the wanted rows; a cursor may name a row that is not wanted itself.

    Raises:
        ApiError: 400 for a limit outside 1-100 or a cursor that names nothing.
    """
    limit = params.integer("limit", 10) or 0
    if not 1 <= limit <= _MOST:
        raise invalid(
            "This value must be between 1 and 100.", code="parameter_invalid_integer", param="limit"
        )
    before, after = params.text("ending_before"), params.text("starting_after")
    if before:
        newer = [row for row in _until(newest_first, before) if is_wanted(row)]
        rows, has_more = newer[-limit:], len(newer) > limit
    else:
        if after:
            _until(newest_first, after, "starting_after")
        wanted = filter(is_wanted, newest_first)
        rows = list(islice(wanted, limit))
        has_more = next(wanted, None) is not None
    return {"object": "list", "data": rows, "has_more": has_more, "url": url}


def _until(rows: Iterator[Record], key: str, param: str = "ending_before") -> list[Record]:
    passed: list[Record] = []
    for row in rows:
        if row["id"] == key:
            return passed
        passed.append(row)
    raise invalid(f"No such object: '{key}'", code="resource_missing", param=param)


def matches(row: Record, params: Params, *columns: str) -> bool:
    """True when every column that the caller named has the value asked for, and `created` is in bounds."""
    for column in columns:
        wanted = params.text(column)
        if wanted is not None and str(row.get(column)) != wanted:
            return False
    return is_created_within(row, params)


def is_created_within(row: Record, params: Params) -> bool:
    exact = params.get("created")
    if isinstance(exact, str) and exact:
        return bool(row["created"] == params.integer("created"))
    bounds = params.table("created")
    return all(_BOUNDS[name](row["created"], bounds.integer(name) or 0) for name in bounds if name in _BOUNDS)

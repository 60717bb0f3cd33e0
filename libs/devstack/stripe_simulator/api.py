"""One call of Stripe's API, from the request to the answer."""

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from libs.devstack.stripe_simulator import errors, idempotency, lists
from libs.devstack.stripe_simulator.errors import ApiError
from libs.devstack.stripe_simulator.forms import Params
from libs.devstack.stripe_simulator.shapes import Expansion, shown
from libs.devstack.stripe_simulator.store import Record
from libs.devstack.stripe_simulator.world import Act, Cause, World


@dataclass
class Call:
    """What a route gets: the act with its cause, the ids in the path, the parameters."""

    act: Act
    method: str
    path: str
    params: Params
    version: str
    ids: Mapping[str, str] = field(default_factory=dict)
    is_answer_lost: bool = False
    is_payment: bool = False

    @property
    def id(self) -> str:
        return self.ids["id"]

    def page(self, kind: str, *columns: str, where: Callable[[Record], bool] | None = None) -> Record:
        """A page of the records of a kind, filtered by the columns that the caller named."""

        def is_wanted(row: Record) -> bool:
            return lists.matches(row, self.params, *columns) and (where is None or where(row))

        return lists.page(self.path, self.params, self.act.store.newest_first(kind), is_wanted)


Route = Callable[[Call], Record | Awaitable[Record]]


class Routes:
    """Which function answers which method and path; `{id}` stands for one part of the path."""

    def __init__(self) -> None:
        self._routes: list[tuple[str, re.Pattern[str], Route]] = []

    def get(self, path: str) -> Callable[[Route], Route]:
        return self._adder("GET", path)

    def post(self, path: str) -> Callable[[Route], Route]:
        return self._adder("POST", path)

    def delete(self, path: str) -> Callable[[Route], Route]:
        return self._adder("DELETE", path)

    def include(self, other: "Routes") -> None:
        self._routes.extend(other._routes)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """The route and the ids in the path.

        Raises:
            ApiError: 404 when there is none.
        """
        for known_method, pattern, route in self._routes:
            if known_method == method and (found := pattern.fullmatch(path)):
                return route, found.groupdict()
        raise errors.unknown_url(method, path)

    def _adder(self, method: str, path: str) -> Callable[[Route], Route]:
        pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))

        def add(route: Route) -> Route:
            self._routes.append((method, pattern, route))
            return route

        return add


@dataclass(frozen=True)
class Answer:
    """A status and a JSON body; `replayed_from` names the request that first got it."""

    status: int
    body: Record
    replayed_from: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


async def answer(world: World, routes: Routes, call: Call) -> Answer:
    """Answer a call, once for each Idempotency-Key."""
    key = call.act.cause.idempotency_key if call.method == "POST" else None
    if not key:
        return (await _attempt(world, routes, call))[0]
    try:
        saved = idempotency.find(world, key, call.path, call.params)
    except ApiError as error:
        return Answer(error.status, error.body, headers=error.headers)
    if saved:
        return Answer(saved["status"], saved["body"], replayed_from=saved["request_id"])
    with idempotency.in_flight(world, key):
        result, is_remembered = await _attempt(world, routes, call)
        if is_remembered:
            idempotency.save(
                world, call.act.cause, call.path, call.params, status=result.status, body=result.body
            )
        world.commit()
    return result


async def _attempt(world: World, routes: Routes, call: Call) -> tuple[Answer, bool]:
    """The answer, and whether Stripe would remember it for the call's key."""
    try:
        _refuse_if_told(world, call, after_effect=False)
        route, ids = routes.find(call.method, call.path)
        call.ids = ids
        try:
            outcome = route(call)
            record = await outcome if inspect.isawaitable(outcome) else outcome
        finally:
            _refuse_if_told(world, call, after_effect=True)
        return Answer(HTTPStatus.OK, rendered(call, record)), True
    except ApiError as error:
        return Answer(error.status, error.body, headers=error.headers), error.is_remembered
    finally:
        world.commit()


def rendered(call: Call, record: Record) -> Record:
    """A record in the caller's API version, expanded as asked."""
    visible = shown(record, call.version)
    return Expansion(call.act.store, call.version).expanded(visible, call.params.texts("expand"))


def cause_of(request_id: str, idempotency_key: str | None) -> Cause:
    return Cause(request_id, idempotency_key or None)


def _refuse_if_told(world: World, call: Call, *, after_effect: bool) -> None:
    failure = world.chaos.failure_for(call.path, after_effect=after_effect)
    if failure:
        raise failure

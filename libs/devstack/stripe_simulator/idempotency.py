"""Idempotency-Keys: the first answer is kept and given again."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from libs.devstack.stripe_simulator.errors import ApiError
from libs.devstack.stripe_simulator.forms import Params
from libs.devstack.stripe_simulator.store import Record
from libs.devstack.stripe_simulator.world import Cause, World


def find(world: World, key: str, path: str, params: Params) -> Record | None:
    """The answer saved for a key.

    Raises:
        ApiError: 400 `idempotency_error` for other parameters, 409 while the first call is running.
    """
    saved = world.store.find("_idempotency", key)
    if saved and saved["call"] != _fingerprint(path, params):
        message = (
            "Keys for idempotent requests can only be used with the same parameters they were first used "
            f"with. Try using a key other than '{key}' if you meant to execute a different request."
        )
        raise ApiError(HTTPStatus.BAD_REQUEST, "idempotency_error", message)
    if world.is_locked(_lock(key)):
        message = f"There is currently another in-progress request using this Idempotent Key: {key}."
        code = "idempotency_key_in_use"
        raise ApiError(HTTPStatus.CONFLICT, "invalid_request_error", message, code=code)
    return saved


@contextmanager
def in_flight(world: World, key: str) -> Iterator[None]:
    with world.sole_writer(_lock(key)):
        yield


def save(world: World, cause: Cause, path: str, params: Params, *, status: int, body: Record) -> None:
    world.store.put(
        {
            "object": "_idempotency",
            "id": cause.idempotency_key,
            "request_id": cause.request_id,
            "call": _fingerprint(path, params),
            "status": status,
            "body": body,
        }
    )


def _lock(key: str) -> str:
    return f"Idempotency-Key {key}"


def _fingerprint(path: str, params: Params) -> str:
    return json.dumps([path, dict(params)], sort_keys=True)

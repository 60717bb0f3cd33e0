"""Stripe's error answers."""

from http import HTTPStatus
from typing import Any

SHOULD_RETRY = "Stripe-Should-Retry"
DOC_URL = "https://stripe.com/docs/error-codes/{}"


class ApiError(Exception):
    """An answer that is an error: HTTP status, Stripe's `error` object, and whether it is remembered.

    Stripe remembers, for an Idempotency-Key, what came out of a call that began to run; a call refused
    before (bad parameters, a lock, a key in use) leaves nothing behind.
    """

    def __init__(
        self,
        status: int,
        error_type: str,
        message: str,
        *,
        is_remembered: bool = False,
        headers: dict[str, str] | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(message)
        self.status = int(status)
        self.is_remembered = is_remembered
        self.headers = headers or {}
        self.fields: dict[str, Any] = {"type": error_type, "message": message, **fields}
        if "code" in fields:
            self.fields["doc_url"] = DOC_URL.format(fields["code"].replace("_", "-"))

    @property
    def body(self) -> dict[str, Any]:
        return {"error": self.fields}


def invalid(message: str, *, is_remembered: bool = False, **fields: Any) -> ApiError:
    """400 `invalid_request_error`."""
    return ApiError(
        HTTPStatus.BAD_REQUEST, "invalid_request_error", message, is_remembered=is_remembered, **fields
    )


def missing_parameter(name: str) -> ApiError:
    return invalid(f"Missing required param: {name}.", code="parameter_missing", param=name)


def no_such(kind: str, key: str, param: str = "id") -> ApiError:
    """404 for the object that a path names, 400 for one that a parameter names."""
    status = HTTPStatus.NOT_FOUND if param == "id" else HTTPStatus.BAD_REQUEST
    message = f"No such {kind}: '{key}'"
    return ApiError(status, "invalid_request_error", message, code="resource_missing", param=param)


def unknown_url(method: str, path: str) -> ApiError:
    message = f"Unrecognized request URL ({method}: {path})."
    return ApiError(HTTPStatus.NOT_FOUND, "invalid_request_error", message)


def wrong_key() -> ApiError:
    return ApiError(HTTPStatus.UNAUTHORIZED, "invalid_request_error", "Invalid API Key provided.")


def locked(key: str) -> ApiError:
    message = (
        "This object cannot be accessed right now because another API request or Stripe process is "
        f"currently accessing it ({key})."
    )
    return ApiError(
        HTTPStatus.TOO_MANY_REQUESTS,
        "invalid_request_error",
        message,
        headers={SHOULD_RETRY: "true"},
        code="lock_timeout",
    )


def rate_limited(retry_after_seconds: float | None = None) -> ApiError:
    message = "Request rate limit exceeded."
    headers = {} if retry_after_seconds is None else {"Retry-After": f"{retry_after_seconds:g}"}
    return ApiError(
        HTTPStatus.TOO_MANY_REQUESTS, "invalid_request_error", message, headers=headers, code="rate_limit"
    )


def server_error(status: int) -> ApiError:
    """Remembered for the key: the same request again would only be told the same."""
    headers = {SHOULD_RETRY: "false"}
    return ApiError(status, "api_error", "An unknown error occurred", is_remembered=True, headers=headers)

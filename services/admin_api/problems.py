"""Clear answers when something is wrong: RFC 9457 `application/problem+json`.

`code` is stable and in English, for programs; `title`, `detail` and `message` are in French, for people, and
say what to do. `errors` names each field (`where`) that is not acceptable.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from libs.common.database import is_outage
from libs.common.jobs import brief

log = logging.getLogger("relance.admin_api")

MEDIA_TYPE = "application/problem+json"
TRY_AGAIN_SECONDS = 5


class Problem(Exception):
    """An answer that is not the one hoped for. `errors` are rows of code, where, message."""

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        **more: str,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.headers = headers
        self.body: dict[str, Any] = {"code": code, "status": status, "title": title, "detail": detail, **more}
        if errors:
            self.body["errors"] = [dict(error) for error in errors]

    def response(self) -> JSONResponse:
        return JSONResponse(self.body, self.status, headers=self.headers, media_type=MEDIA_TYPE)


Answerer: TypeAlias = Callable[[Request, Problem], Response]
"""How a problem is answered: a page for a browser, JSON for everybody else."""


def wants_page(request: Request) -> bool:
    """Whether a browser asks, for something that is not the API."""
    if request.url.path.startswith("/api/"):
        return False
    return "text/html" in request.headers.get("accept", "") or "hx-request" in request.headers


def invalid(errors: Sequence[Mapping[str, str]]) -> Problem:
    return Problem(
        422,
        "invalid_request",
        "La demande n'est pas valide",
        "Corrigez ce que « errors » indique, puis renvoyez la demande : rien n'a été enregistré.",
        errors=errors,
    )


# By pydantic's type of error: our code, and what to do.
_MESSAGES: dict[str, tuple[str, str]] = {
    "missing": ("field_missing", "Ce champ est obligatoire : ajoutez-le."),
    "extra_forbidden": ("field_unknown", "Ce champ n'existe pas : retirez-le ou corrigez son nom."),
    "json_invalid": ("json_invalid", "Le corps n'est pas du JSON valide : vérifiez sa syntaxe."),
    "model_attributes_type": (
        "body_not_object",
        "Envoyez un objet JSON, avec l'en-tête Content-Type: application/json.",
    ),
    "string_type": (
        "not_text",
        "Une chaîne de caractères est attendue : écrivez la valeur entre guillemets.",
    ),
    "string_unicode": ("not_text", "Ce texte n'est pas de l'Unicode valide : corrigez son encodage."),
    "uuid_parsing": ("uuid_invalid", "Un UUID est attendu, comme 3f2b8c1e-5d0a-4f57-9f0e-2d1c6a7b8e90."),
    "uuid_type": ("uuid_invalid", "Un UUID est attendu, comme 3f2b8c1e-5d0a-4f57-9f0e-2d1c6a7b8e90."),
    "timezone_aware": (
        "date_without_zone",
        "La date doit porter son fuseau, comme 2026-11-23T10:00:00+01:00.",
    ),
}
_BY_KIND: tuple[tuple[str, tuple[str, str]], ...] = (
    ("datetime", ("date_invalid", "Une date ISO 8601 est attendue, comme 2026-11-23T10:00:00+01:00.")),
    ("int", ("number_invalid", "Un nombre entier est attendu.")),
    ("greater", ("number_out_of_range", "Ce nombre est trop petit.")),
    ("less", ("number_out_of_range", "Ce nombre est trop grand.")),
)
_OTHERWISE = ("value_invalid", "Cette valeur n'est pas acceptable : corrigez-la.")
OUR_OWN = "relance."
"""Begins the type of errors that bring their own code and French message."""


def explain(error: Mapping[str, Any]) -> dict[str, str]:
    """One of pydantic's errors in our words: code, where, message."""
    kind = str(error["type"])
    location = [str(part) for part in error["loc"]]
    where = ".".join(location[1:] or location)
    if kind.startswith(OUR_OWN):
        return {"code": kind.removeprefix(OUR_OWN), "where": where, "message": str(error["msg"])}
    if kind == "json_invalid":
        where = "body"
    code, message = _MESSAGES.get(kind) or next((m for k, m in _BY_KIND if kind.startswith(k)), _OTHERWISE)
    return {"code": code, "where": where, "message": message}


_TITLES = {
    400: ("bad_request", "La demande n'est pas lisible", "Vérifiez que le corps est du JSON en UTF-8."),
    404: ("not_found", "Introuvable", "Rien n'existe à cette adresse : vérifiez-la."),
    405: ("method_not_allowed", "Méthode non permise", "Cette adresse n'accepte pas cette méthode HTTP."),
}


NOT_TEXT = "22021"
"""PostgreSQL's state for what no text of its own may hold, a NUL character: it comes in by query strings."""


def outage_problem(error: Exception) -> Problem:
    """Raises the error again when the database is not to blame."""
    if getattr(getattr(error, "orig", None), "sqlstate", None) == NOT_TEXT:
        return Problem(
            422,
            "not_text",
            "La demande n'est pas valide",
            "Un caractère nul s'est glissé dans un texte : retirez-le. Rien n'a été enregistré.",
        )
    if not isinstance(error, PoolTimeoutError) and not is_outage(error):
        raise error
    log.warning("a request waits for the database in vain: %s", brief(error))
    return Problem(
        503,
        "temporarily_unavailable",
        "Indisponible pour le moment",
        "La base de données ne répond pas : renvoyez la même demande dans quelques secondes.",
        headers={"Retry-After": str(TRY_AGAIN_SECONDS)},
    )


def add_problem_answers(app: FastAPI, answer: Answerer) -> None:
    """Every answer of the app that is not a success becomes a problem."""

    @app.exception_handler(Problem)
    async def answer_problem(request: Request, problem: Problem) -> Response:
        return answer(request, problem)

    @app.exception_handler(RequestValidationError)
    async def answer_invalid(request: Request, error: RequestValidationError) -> Response:
        return answer(request, invalid([explain(each) for each in error.errors()]))

    @app.exception_handler(HTTPException)
    async def answer_refused(request: Request, error: HTTPException) -> Response:
        code, title, detail = _TITLES.get(error.status_code, ("refused", "Refusé", str(error.detail)))
        return answer(request, Problem(error.status_code, code, title, detail, headers=error.headers))

    @app.exception_handler(SQLAlchemyError)
    @app.exception_handler(OSError)
    async def answer_outage(request: Request, error: Exception) -> Response:
        return answer(request, outage_problem(error))

"""« Routines »: when each is due, what its last runs came to; pause, resume, run, each confirmed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Request
from fastapi.responses import RedirectResponse, Response

from libs.common.database import Database
from services.admin_api import queries
from services.admin_api.auth import Caller, CallerOf, page
from services.admin_api.domain import InvalidError, Role, clean_reason
from services.admin_api.peers import PeerDown, PeerRefused, Peers
from services.admin_api.problems import Problem
from services.admin_api.screens import PARIS, Screens, from_iso

MOST_RUNS = 30
Text = Annotated[str, Form(max_length=600)]
Name = Annotated[str, Path(pattern=r"^\w{1,100}$")]


@dataclass(frozen=True, slots=True)
class Wish:
    """What one may ask of a routine, and what comes of it, as the confirmation says it."""

    name: str
    title: str
    consequence: str
    button: str
    is_grave: bool = False
    asks_until: bool = False


WISHES = {
    "pause": Wish(
        "pause",
        "Mettre en pause",
        "Ce qui devait partir pendant la pause est sauté, et ne sera pas rattrapé ensuite. Un passage en "
        "cours s’arrête après le lot qu’il traite.",
        "Mettre en pause",
        is_grave=True,
        asks_until=True,
    ),
    "reprendre": Wish(
        "resume",
        "Reprendre",
        "La routine repart à sa prochaine heure. Ce qui a été sauté reste sauté.",
        "Reprendre",
    ),
    "lancer": Wish(
        "run",
        "Lancer maintenant",
        "La routine passe tout de suite, en plus de ses heures. Ce qui a déjà été dit ne sera pas redit ; ce "
        "qui est dû partira, et peut écrire à des clients.",
        "Lancer",
        is_grave=True,
    ),
}
DONE = {
    "pause": "La routine est en pause.",
    "reprendre": "La routine reprend.",
    "lancer": "Le passage est demandé : il commence dans un instant.",
}


def create_router(database: Database, screens: Screens, peers: Peers) -> APIRouter:
    router = APIRouter(prefix="/routines", include_in_schema=False)
    desk = _Desk(database, peers)

    _add_looks(router, database, screens, desk)
    _add_wishes(router, screens, desk)
    return router


def _add_looks(router: APIRouter, database: Database, screens: Screens, desk: _Desk) -> None:
    @router.get("")
    @page(Role.READER)
    async def list_routines(request: Request) -> Response:
        rows, is_down = await desk.list_all()
        async with database.begin() as uow:
            heard = {row.routine: row for row in await queries.list_routines(uow.session)}
        return screens.show(
            request, "routines.html", title="Routines", rows=rows, is_down=is_down, heard=heard
        )

    @router.get("/{name}")
    @page(Role.READER)
    async def show_routine(request: Request, name: Name, fait: str = "") -> Response:
        row, runs, is_down = await desk.look(name)
        return screens.show(
            request,
            "routine.html",
            title=name,
            name=name,
            row=row,
            runs=runs,
            is_down=is_down,
            done=DONE.get(fait, ""),
        )


def _add_wishes(router: APIRouter, screens: Screens, desk: _Desk) -> None:
    @router.get("/{name}/{wish}")
    @page(Role.ADMIN)
    async def confirm_wish(request: Request, name: Name, wish: str) -> Response:
        row, _, is_down = await desk.look(name)
        return _confirm(screens, request, name, wish, row=row, is_down=is_down)

    @router.post("/{name}/{wish}")
    @page(Role.ADMIN)
    async def carry_out(
        request: Request, caller: CallerOf, *, name: Name, wish: str, raison: Text = "", jusque: Text = ""
    ) -> Response:
        asked = _wish(wish)
        try:
            reason = clean_reason(raison)
            until = _until(jusque) if asked.asks_until and jusque else None
            await desk.carry_out(caller, name, asked, reason, until)
        except (InvalidError, PeerRefused) as error:
            row, _, is_down = await desk.look(name)
            text = error.detail if isinstance(error, PeerRefused) else str(error)
            return _confirm(
                screens,
                request,
                name,
                wish,
                row=row,
                is_down=is_down,
                error=text,
                raison=raison,
                jusque=jusque,
            )
        except PeerDown:
            row, _, is_down = await desk.look(name)
            return _confirm(
                screens,
                request,
                name,
                wish,
                row=row,
                is_down=True,
                error=NO_ANSWER,
                raison=raison,
                jusque=jusque,
            )
        return RedirectResponse(f"/routines/{name}?fait={wish}", 303)


def _confirm(
    screens: Screens, request: Request, name: str, wish: str, *, is_down: bool, **more: Any
) -> Response:
    shown = {"error": "", "raison": "", "jusque": "", **more}
    asked = _wish(wish)
    return screens.show(
        request,
        "routine_wish.html",
        status=409 if shown["error"] and not is_down else 503 if shown["error"] else 200,
        title=asked.title,
        name=name,
        wish=wish,
        asked=asked,
        is_down=is_down,
        **shown,
    )


NO_ANSWER = "L’horloge ne répond pas : on ne sait si c’est fait. Regardez la routine avant de recommencer."


def _wish(name: str) -> Wish:
    found = WISHES.get(name)
    if found is None:
        raise Problem(404, "not_found", "Introuvable", "Rien n'existe à cette adresse : vérifiez-la.")
    return found


def _until(text: str) -> datetime:
    """The end of a day in Paris, « 2026-11-30 ». Raises InvalidError."""
    try:
        return datetime.combine(datetime.strptime(text, "%Y-%m-%d").date(), time(23, 59), PARIS)  # noqa: DTZ007
    except ValueError as error:
        raise InvalidError(
            "date_invalid", "Cette date n’est pas lisible : choisissez-la au calendrier."
        ) from error


class _Desk:
    def __init__(self, database: Database, peers: Peers) -> None:
        self._database = database
        self._peers = peers

    async def list_all(self) -> tuple[list[dict[str, Any]], bool]:
        """The routines, and whether the scheduler is down."""
        try:
            return [_with_moments(row) for row in await self._peers.list_routines()], False
        except (PeerDown, PeerRefused):
            return [], True

    async def look(self, name: str) -> tuple[dict[str, Any] | None, list[dict[str, Any]], bool]:
        """A routine, its runs, and whether the scheduler is down. Raises Problem for an unknown one."""
        rows, is_down = await self.list_all()
        if is_down:
            return None, [], True
        row = next((row for row in rows if row["name"] == name), None)
        if row is None:
            raise Problem(
                404, "routine_not_found", "Routine inconnue", f"Aucune routine ne s’appelle {name}."
            )
        try:
            runs = await self._peers.list_runs(name, limit=MOST_RUNS)
        except (PeerDown, PeerRefused):
            return row, [], True
        return row, [_run(run) for run in runs], False

    async def carry_out(
        self, caller: Caller, name: str, wish: Wish, reason: str, until: datetime | None
    ) -> None:
        """Noted before it is asked and after it was answered: what is lost in between is seen to be open."""
        more = {"until": until.isoformat()} if until else {}
        said: dict[str, Any] = {"by": caller.name}
        if wish.name != "resume":
            said["why"] = reason
        await self._note(caller, f"routine.{wish.name}_asked", name, reason, **more)
        await self._peers.ask_routine(name, wish.name, {**said, **more})
        await self._note(caller, f"routine.{wish.name}", name, reason, **more)

    async def _note(self, caller: Caller, action: str, name: str, reason: str, **more: Any) -> None:
        async with self._database.begin() as uow:
            deed = caller.did(action, subject=f"routine:{name}", reason=reason, **more)
            await queries.add_audit(uow.session, deed, uow.now)


def _with_moments(row: dict[str, Any]) -> dict[str, Any]:
    last, pause = row["last"], row["pause"]
    return {
        **row,
        "next_at": from_iso(row["next_at"]),
        "running_since": from_iso(row["running_since"]),
        "last": last and {**last, "due_at": from_iso(last["due_at"])},
        "pause": pause and {**pause, "until_at": from_iso(pause["until_at"])},
    }


def _run(run: dict[str, Any]) -> dict[str, Any]:
    moments = {name: from_iso(run[name]) for name in ("due_at", "started_at", "finished_at")}
    return {**run, **moments}

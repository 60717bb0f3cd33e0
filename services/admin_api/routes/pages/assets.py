"""What pages load: our style, htmx. Nothing of it is a secret, all of it is named by its hash."""

from __future__ import annotations

import mimetypes

from fastapi import APIRouter
from fastapi.responses import Response

from services.admin_api.auth import open_page
from services.admin_api.problems import Problem
from services.admin_api.screens import Screens

KEPT = "public, max-age=31536000, immutable"


def create_router(screens: Screens) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/statique/{version}/{name}")
    @open_page()
    async def show_asset(version: str, name: str) -> Response:
        """404 for what is none of them; a version of before gets today's, to be asked for again."""
        content = screens.assets.get(name)
        if content is None:
            raise Problem(404, "not_found", "Introuvable", "Rien n'existe à cette adresse : vérifiez-la.")
        is_current = screens.address_of(name).split("/")[2] == version
        media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return Response(
            content, media_type=media_type, headers={"Cache-Control": KEPT if is_current else "no-store"}
        )

    return router

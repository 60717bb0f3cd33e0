"""Starting a service: its settings, its logs, its ASGI application under uvicorn."""

from __future__ import annotations

import gc
import logging
import signal
import sys
from importlib import import_module
from types import FrameType
from typing import Any, cast

import uvicorn
from fastapi import FastAPI

from libs.common import log
from libs.common.one_write import OneWriteProtocol
from libs.common.router import EventRouter
from libs.common.service import Door
from libs.common.settings import CommonSettings, load

logger = logging.getLogger("relance.run")

SERVICES = ("billing", "notifications", "scheduler", "admin_api")
MISCONFIGURED_EXIT_CODE = 78
"""EX_CONFIG of sysexits.h: starting again cannot help before somebody changes a setting."""


def settings_of(service: str) -> CommonSettings:
    """The service's settings from the environment. Raises MisconfiguredError, naming what is wrong."""
    class_name = "".join(word.capitalize() for word in service.split("_")) + "Settings"
    settings_class = getattr(import_module(f"services.{service}.settings"), class_name)
    return load(cast(type[CommonSettings], settings_class))


def router_of(service: str) -> EventRouter | None:
    """What a service hears; None for one without a Kafka door."""
    try:
        handlers = import_module(f"services.{service}.handlers")
    except ModuleNotFoundError as error:
        if error.name == f"services.{service}.handlers":
            return None
        raise
    return cast(EventRouter, handlers.router)


def run(service: str, doors: frozenset[Door]) -> None:
    """Serves until SIGTERM or SIGINT, then stops cleanly. Raises MisconfiguredError before anything opens."""
    # uvicorn sends itself the signal again once it has stopped: that must not look like an accident.
    for stop_signal in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop_signal, _leave)
    settings = settings_of(service)
    log.set_up(service, settings.app_env, settings.log_dir)
    logger.info("starting %s", service, extra={"context": summary(settings, doors)})
    app: FastAPI = import_module(f"services.{service}.app").create_app(settings, doors=doors)
    # What was imported lives as long as the process: looking through it again and again for garbage cost
    # the slowest webhooks most of their time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    uvicorn.Server(_configuration(app, settings, service)).run()


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


def _configuration(app: FastAPI, settings: CommonSettings, service: str) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=settings.host,
        port=getattr(settings, f"{service}_port"),
        loop="uvloop",
        http=OneWriteProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=max(1, round(settings.shutdown_seconds)),
    )


def summary(settings: CommonSettings, doors: frozenset[Door]) -> dict[str, Any]:
    """Every setting as it was understood, secrets starred, for the first line of the log."""
    return {"doors": sorted(doors), **settings.model_dump(mode="json")}

"""`relance up`, `down` and `reset`: each answers with the exit code of the command."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import FrameType

from libs.common.errors import MisconfiguredError
from libs.devstack.errors import DevstackFailure
from libs.devstack.stack import account
from libs.devstack.stack.caretaker import Caretaker
from libs.devstack.stack.folder import DataFolder
from libs.devstack.stack.leftovers import end_leftovers
from libs.devstack.stack.plan import LABELS, NAMED_BY, Plan, Wishes, make_plan
from libs.devstack.stack.progress import Progress
from libs.devstack.stack.rising import Rising
from libs.devstack.stack.supervisor import MISCONFIGURED_EXIT_CODE, Stopping, Supervisor

LOOK_SECONDS = 0.1
SUPERVISOR_STOPS_SECONDS = 40.0
SAME_WISH_SECONDS = 0.5
KILLED_EXIT_CODE = 130
ROOT = Path(__file__).parents[3]


def up(wishes: Wishes) -> int:
    """Starts everything and keeps it running until SIGINT or SIGTERM."""
    progress = Progress()
    folder = DataFolder(wishes.data_dir)
    try:
        folder.acquire(progress.say)
        try:
            return _Run(wishes, folder, progress).run()
        finally:
            folder.release()
    except MisconfiguredError as error:
        progress.fail(str(error))
        return MISCONFIGURED_EXIT_CODE
    except DevstackFailure as failure:
        progress.fail(str(failure))
        return 1


class _Run:
    """One life of a stack, under the lock of its folder."""

    def __init__(self, wishes: Wishes, folder: DataFolder, progress: Progress) -> None:
        self._wishes = wishes
        self._folder = folder
        self._progress = progress
        self._supervisor = Supervisor(progress, folder.note_process)
        self._signals = 0
        self._first_signal_at = 0.0

    def run(self) -> int:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._hear)
        caretaker = Caretaker(self._folder, ROOT)
        try:
            self._live()
        finally:
            with self._progress:
                self._supervisor.stop()
            caretaker.dismiss()
        self._progress.say(f"Tout est arrêté. Les données restent dans {self._folder.path}.")
        return 0

    def _hear(self, number: int, frame: FrameType | None) -> None:
        # Only a count: what is interrupted here may hold any lock.
        now = time.monotonic()
        self._first_signal_at = self._first_signal_at or now
        self._signals += 1
        # `make`, `timeout` and others hand on what the whole group has heard already: that is one wish.
        if self._signals > 1 and now - self._first_signal_at > SAME_WISH_SECONDS:
            self._supervisor.kill()
            os._exit(KILLED_EXIT_CODE)

    def _live(self) -> None:
        with ThreadPoolExecutor(1) as thread, self._progress:
            risen = self._wait_for(thread.submit(self._rise))
        if risen is None:
            return
        account.print_all(risen)
        while not self._signals:
            time.sleep(LOOK_SECONDS)
        self._say_that_it_stops()

    def _wait_for(self, rising: Future[account.Account]) -> account.Account | None:
        """None when a stop was asked for meanwhile."""
        while not rising.done() and not self._signals:
            time.sleep(LOOK_SECONDS)
        if not self._signals:
            return rising.result()
        self._say_that_it_stops()
        self._supervisor.ask_to_stop()
        with contextlib.suppress(Stopping):
            rising.result()
        return None

    def _say_that_it_stops(self) -> None:
        self._progress.say("\nArrêt demandé (une deuxième fois : tout est tué)…")

    def _rise(self) -> account.Account:
        self._progress.say(f"Relance démarre ; ses données sont dans {self._folder.path}.")
        if ended := end_leftovers(self._folder):
            self._progress.warn(f"Restes d'un arrêt brutal, arrêtés d'abord : {', '.join(ended)}.")
        plan = make_plan(self._wishes, self._folder)
        self._say_what_differs(plan)
        return Rising(plan, self._supervisor, self._progress).rise()

    def _say_what_differs(self, plan: Plan) -> None:
        for name, wanted in plan.moved.items():
            self._progress.warn(f"Port {wanted} pris : {LABELS[name]} écoute sur {plan.ports[name]}.")
        for name in ("kafka", "postgres", "stripe", "mails", "platform", "sms", "slack", "tinyurl"):
            if not plan.starts(name):
                self._progress.say(f"{LABELS[name]} : celui de {NAMED_BY[name]}, rien n'est démarré.")


def down(data_dir: Path) -> int:
    """Ends a `relance up` of this folder, or what a crash of it left."""
    progress = Progress()
    folder = DataFolder(data_dir)
    if not folder.exists():
        progress.say(f"Rien n'a jamais tourné dans {folder.path}.")
        return 0
    try:
        ended = _clean(folder, progress)
    except DevstackFailure as failure:
        progress.fail(str(failure))
        return 1
    progress.done(f"Arrêtés : {', '.join(ended)}." if ended else "Rien ne tournait plus.")
    return 0


def _clean(folder: DataFolder, progress: Progress) -> list[str]:
    ended = _ask_supervisor_to_stop(folder, progress)
    folder.acquire(progress.say)
    try:
        return [*ended, *end_leftovers(folder)]
    finally:
        folder.release()


def _ask_supervisor_to_stop(folder: DataFolder, progress: Progress) -> list[str]:
    supervisor = folder.find_supervisor()
    if supervisor is None or supervisor.pid == os.getpid():
        return []
    progress.say(f"`relance up` tourne encore (processus {supervisor.pid}) : on lui demande de s'arrêter…")
    supervisor.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + SUPERVISOR_STOPS_SECONDS
    while folder.find_supervisor() is not None:
        if time.monotonic() > deadline:
            raise DevstackFailure(
                f"Le processus {supervisor.pid} ne s'arrête pas : `kill -9 {supervisor.pid}`."
            )
        time.sleep(LOOK_SECONDS)
    return ["relance up"]


def reset(data_dir: Path) -> int:
    """Ends what a crash left on the folder and deletes it; refuses while `relance up` runs.

    A database or a Kafka from elsewhere is left alone.
    """
    progress = Progress()
    folder = DataFolder(data_dir)
    if not folder.path.exists():
        progress.say(f"{folder.path} n'existe pas : il n'y a rien à oublier.")
        return 0
    if not folder.exists():
        progress.fail(f"{folder.path} n'est pas un dossier de données de Relance : rien n'est effacé.")
        return 1
    if (supervisor := folder.find_supervisor()) is not None:
        progress.fail(
            f"`relance up` tourne encore sur {folder.path} (processus {supervisor.pid}) : rien n'est effacé. "
            "Arrêtez-le d'abord (Ctrl-C, ou `relance down`)."
        )
        return 1
    try:
        _clean(folder, progress)
    except DevstackFailure as failure:
        progress.fail(str(failure))
        return 1
    shutil.rmtree(folder.path)
    progress.done(f"{folder.path} est effacé ; le prochain `relance up` repart de zéro.")
    return 0

"""Cleans up at once when the supervisor is killed: `python -m libs.devstack.stack.caretaker DATA`.

It waits on its stdin, a pipe that closes with the supervisor, whatever ends it. It has inherited the lock of
the data folder, so that the next `relance up` waits until everything has ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from libs.devstack.errors import DevstackFailure
from libs.devstack.stack.folder import DataFolder
from libs.devstack.stack.leftovers import end_leftovers

CLOSING_SECONDS = 40.0


class Caretaker:
    """The supervisor's side: hire it once the folder is locked, dismiss it when all has stopped."""

    def __init__(self, folder: DataFolder, root: Path) -> None:
        with (folder.logs / "caretaker.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "libs.devstack.stack.caretaker", str(folder.path)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=root,
                start_new_session=True,
                pass_fds=[folder.lock_descriptor],
            )

    def dismiss(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(CLOSING_SECONDS)


def main(data: str) -> int:
    # Whoever ends a whole session of terminals must not end the one who tidies up.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.read(sys.stdin.fileno(), 1)
    try:
        end_leftovers(DataFolder(Path(data)))
    except DevstackFailure as failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

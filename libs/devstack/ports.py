"""TCP ports for the embedded servers.

All of them lie below 32768: above it the system hands ports to outgoing connections, and a port that was free
when it was chosen may be somebody's connection a moment later.
"""

import random
import socket
from collections.abc import Collection, Iterator
from itertools import chain

from libs.devstack.errors import DevstackFailure

LOWEST_PICKED = 20_000
HIGHEST_PICKED = 31_999
EPHEMERAL_START = 32_768


def free_port(preferred: int | None = None, host: str = "127.0.0.1", *, avoid: Collection[int] = ()) -> int:
    """A TCP port nobody listens on: `preferred` when it is free, else the next free one below 32768.

    Without `preferred` the search starts anywhere in 20000-31999, so that processes that choose at the same
    time rarely choose alike. `avoid` names ports that were chosen already and are not listened on yet.
    Raises DevstackFailure when there is none.
    """
    start = preferred if preferred is not None else random.randint(LOWEST_PICKED, HIGHEST_PICKED)  # noqa: S311
    for port in _from(start):
        if port not in avoid and is_free(port, host):
            return port
    raise DevstackFailure(f"Aucun port TCP libre sur {host} entre {start} et {EPHEMERAL_START - 1}.")


def _from(start: int) -> Iterator[int]:
    return chain(range(start, EPHEMERAL_START), range(LOWEST_PICKED, min(start, EPHEMERAL_START)))


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on the port now."""
    # Where a listener on 0.0.0.0 does not stop a bind on 127.0.0.1 (macOS), only a connection shows it.
    return _can_bind(port, host) and not _answers(port, host)


def _can_bind(port: int, host: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Servers set it too: connections in TIME_WAIT do not make a port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def _answers(port: int, host: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((host, port)) == 0


def ensure_free(server: str, port: int, host: str = "127.0.0.1") -> None:
    """Raises DevstackFailure when the port that `server` was given is taken."""
    if not is_free(port, host):
        raise DevstackFailure(
            f"{server} ne peut pas démarrer : le port {port} de {host} est déjà pris. "
            f"Libérez-le (`lsof -i :{port}` dit par qui) ou choisissez-en un autre."
        )

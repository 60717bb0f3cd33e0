"""The jars of Apache Kafka: downloaded once by jgo, pinned by SHA-256, shared by all checkouts of a machine.

`kafka.jars.lock` names each jar by its path in a Maven repository, `sha256  path`, as sha256sum writes it:
`cd <folder of the jars> && sha256sum -c <the lock>` checks them by hand. One that differs never runs.

To move to another version: change VERSION and COORDINATES, run `python -m libs.devstack.kafka --lock`, read
the difference, commit it.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path, PurePosixPath

from jgo.maven import MavenContext
from jgo.parse import Coordinate

from libs.devstack.errors import DevstackFailure

VERSION = "4.3.1"
# slf4j-simple 1.7, because Kafka logs through slf4j 1.7: a 2.x binding would not be seen.
COORDINATES = (f"org.apache.kafka:kafka_2.13:{VERSION}", "org.slf4j:slf4j-simple:1.7.36")
LOCK_PATH = Path(__file__).with_name("kafka.jars.lock")
DOWNLOAD_TRIES = 3
PARALLEL_DOWNLOADS = 6

Progress = Callable[[str], None]


def default_cache_dir() -> Path:
    """Where downloads are kept for all checkouts: `$XDG_CACHE_HOME/relance`, else `~/.cache/relance`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "relance"


def locked_jars() -> dict[str, str]:
    """SHA-256 by path of the jar."""
    pairs = (line.split() for line in LOCK_PATH.read_text().splitlines() if line and not line.startswith("#"))
    return {path: sha256 for sha256, path in pairs}


def kafka_jars(cache_dir: Path, on_progress: Progress) -> list[Path]:
    """The jars, each equal to what the lock says; those that the cache lacks are downloaded first.

    Raises DevstackFailure when a jar differs from the lock or cannot be downloaded.
    """
    folder = cache_dir / f"kafka-{VERSION}"
    locked = locked_jars()
    if any(not (folder / path).exists() for path in locked):
        _download_missing(folder, locked, on_progress)
    for path, sha256 in locked.items():
        _verify(folder / path, sha256)
    return [folder / path for path in locked]


def _verify(jar: Path, sha256: str) -> None:
    with jar.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != sha256:
        raise DevstackFailure(
            f"{jar} n'est pas le fichier attendu (SHA-256 {found}, attendu {sha256}, voir {LOCK_PATH}). "
            "Rien n'a été lancé. Supprimez ce fichier et recommencez ; si cela se reproduit, "
            "ce qui est téléchargé a été altéré."
        )


def _download_missing(folder: Path, locked: dict[str, str], on_progress: Progress) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(folder, on_progress):
        # Another process may have downloaded them while this one waited.
        missing = {path: sha256 for path, sha256 in locked.items() if not (folder / path).exists()}
        if missing:
            _download(folder, missing, on_progress)


def _download(folder: Path, missing: dict[str, str], on_progress: Progress) -> None:
    for abandoned in folder.glob(".partial-*"):
        shutil.rmtree(abandoned, ignore_errors=True)
    on_progress(f"Téléchargement de Kafka (44 Mo, une seule fois) : {len(missing)} fichiers…")
    with (
        tempfile.TemporaryDirectory(prefix=".partial-", dir=folder) as staging,
        ThreadPoolExecutor(PARALLEL_DOWNLOADS) as threads,
    ):
        maven = MavenContext(repo_cache=Path(staging), timeout=30)
        jobs = [threads.submit(_install, maven, folder, path, sha256) for path, sha256 in missing.items()]
        try:
            _report(jobs, on_progress)
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise


def _report(jobs: list["Future[None]"], on_progress: Progress) -> None:
    for done, job in enumerate(as_completed(jobs), start=1):
        job.result()
        if done % 10 == 0 or done == len(jobs):
            on_progress(f"Téléchargement de Kafka : {done} fichiers sur {len(jobs)}")


def _install(maven: MavenContext, folder: Path, path: str, sha256: str) -> None:
    """Downloads one jar beside, checks it, then moves it in: what stands in the folder is always whole."""
    downloaded = _fetch(maven, path)
    _verify(downloaded, sha256)
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    downloaded.replace(folder / path)


def _fetch(maven: MavenContext, path: str) -> Path:
    *group, artifact, version, _ = PurePosixPath(path).parts
    jar = maven.project(".".join(group), artifact).at_version(version).artifact()
    for attempt in range(1, DOWNLOAD_TRIES + 1):
        try:
            return Path(jar.resolve())
        except (OSError, RuntimeError) as error:
            # jgo takes whatever lies there for the whole file the next time.
            (maven.repo_cache / path).unlink(missing_ok=True)
            if attempt == DOWNLOAD_TRIES:
                raise DevstackFailure(
                    f"Kafka n'a pas pu être téléchargé ({jar} : {error}). Vérifiez l'accès au réseau "
                    "(HTTPS_PROXY s'il faut un mandataire) et recommencez : ce qui est déjà là est gardé."
                ) from error
            time.sleep(attempt)
    raise AssertionError("unreachable")


@contextlib.contextmanager
def _one_at_a_time(folder: Path, on_progress: Progress) -> Iterator[None]:
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_progress("Kafka est en cours de téléchargement par un autre processus, on l'attend…")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_lock(cache_dir: Path) -> None:
    """Resolves COORDINATES with all they need, downloads it and writes `kafka.jars.lock` anew."""
    repository = cache_dir / "lock-repository"
    maven = MavenContext(repo_cache=repository)
    named = (replace(Coordinate.parse(coordinate), scope="compile") for coordinate in COORDINATES)
    roots, needed = maven.resolver.resolve([maven.create_dependency(coordinate) for coordinate in named])
    jars = [Path(it.artifact.resolve()) for it in (*roots, *needed) if it.scope in ("compile", "runtime")]
    paths = sorted(jar.relative_to(repository).as_posix() for jar in jars)
    lines = [f"{_sha256(repository / path)}  {path}" for path in paths]
    LOCK_PATH.write_text("\n".join(lines) + "\n")


def _sha256(jar: Path) -> str:
    return hashlib.sha256(jar.read_bytes()).hexdigest()

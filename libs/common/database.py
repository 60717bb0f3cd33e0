"""PostgreSQL: one schema and one role a service, and the unit of work in which everything happens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg
from sqlalchemy import TextClause
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from libs.common import outbox
from libs.common.clock import Clock, utc_now
from libs.common.envelope import Envelope
from libs.common.errors import PermanentFailure, TemporaryFailure
from libs.common.events import Event


class Uow:
    """One unit of work: one transaction, in which effects and the facts told of them are stored."""

    def __init__(
        self,
        session: AsyncSession,
        *,
        teller: str,
        now: datetime,
        cause: Envelope | None = None,
        told: list[outbox.Told] | None = None,
        later: dict[TextClause, list[dict[str, object]]] | None = None,
    ) -> None:
        self.session = session
        self.now = now
        self.cause = cause
        self._teller = teller
        self._told: list[outbox.Told] = [] if told is None else told
        self._later: dict[TextClause, list[dict[str, object]]] = {} if later is None else later

    def caused_by(self, cause: Envelope) -> Uow:
        """The same transaction, seen by the handler of another event of the batch."""
        return Uow(
            self.session,
            teller=self._teller,
            now=self.now,
            cause=cause,
            told=self._told,
            later=self._later,
        )

    async def publish(
        self, event: Event, *, traceparent: str | None = None, causation_id: UUID | None = None
    ) -> None:
        """Tell a fact: stored when the transaction ends, relayed to Kafka after its commit.

        `traceparent` and `causation_id` are for jobs that go on with what a row stored; handlers inherit
        both from the event that they handle.
        """
        if event.teller() not in (self._teller, "any"):
            raise PermanentFailure(f"{self._teller} may not tell {event.type}: {event.teller()} does")
        cause = self.cause
        self._told.append(
            outbox.Told.of(
                event,
                now=self.now,
                traceparent=traceparent or (cause.traceparent if cause else None),
                causation_id=causation_id or (cause.event_id if cause else None),
            )
        )

    async def lock(self, key: str) -> None:
        """Hold the stream of a key (a company) until the end of the transaction.

        Whoever decides on a company's state calls this first, before locking any other row: one order
        of locks everywhere, hence no deadlock between handlers and jobs.
        """
        await outbox.lock_stream(self.session, key)

    def add_later(self, statement: TextClause, values: Mapping[str, object]) -> None:
        """Run an insert that nobody waits for at the end of the transaction, with its likes in one go."""
        self._later.setdefault(statement, []).append(dict(values))

    @property
    def told(self) -> tuple[outbox.Told, ...]:
        """What was told and not stored yet."""
        return tuple(self._told)

    def forget_told(self) -> None:
        """For a preview, which tells nothing: what was told until here need not be kept in mind."""
        self._told.clear()

    async def flush(self) -> None:
        """What was left for the end: inserts that nobody waited for, then the facts told."""
        later = dict(self._later)
        self._later.clear()
        for statement, values in later.items():
            await self.session.execute(statement, values)
        told, self._told[:] = list(self._told), []
        if told:
            await outbox.add(self.session, self._teller, told)


class Database:
    """A service's own schema, seen through its own role."""

    def __init__(
        self,
        url: str,
        *,
        service: str,
        teller: str,
        pool_size: int = 10,
        clock: Clock = utc_now,
    ) -> None:
        self.service = service
        self.teller = teller
        self.clock = clock
        self._dsn = url
        self.engine: AsyncEngine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=self._connect,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=30,
        )
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False, autoflush=False)

    def _server_settings(self) -> dict[str, str]:
        return {
            "search_path": f"{self.service},public",
            "application_name": f"relance-{self.service}",
            "jit": "off",
        }

    @asynccontextmanager
    async def begin(self, cause: Envelope | None = None) -> AsyncIterator[Uow]:
        """A transaction: committed at the end of the block with the facts told in it, else rolled back."""
        async with self._sessions.begin() as session:
            uow = Uow(session, teller=self.teller, now=self.clock(), cause=cause)
            yield uow
            await uow.flush()

    @asynccontextmanager
    async def preview(self) -> AsyncIterator[Uow]:
        """A transaction that is always rolled back: to see what a piece of work would do."""
        async with self._sessions() as session:
            yield Uow(session, teller=self.teller, now=self.clock())
            await session.rollback()

    async def connect(self) -> asyncpg.Connection[asyncpg.Record]:
        """A connection of its own, outside the pool, for LISTEN."""
        return await connect(self._dsn, self._server_settings())

    async def _connect(self) -> asyncpg.Connection[asyncpg.Record]:
        return await connect(self._dsn, self._server_settings(), command_timeout=60)

    async def close(self) -> None:
        await self.engine.dispose()


async def connect(
    url: str, server_settings: dict[str, str], *, command_timeout: float | None = None
) -> asyncpg.Connection[asyncpg.Record]:
    """asyncpg reads the URL itself: SQLAlchemy would refuse libpq's options, such as `?sslmode=require`."""
    dsn = with_scheme(url, "postgresql")
    return await asyncpg.connect(
        dsn, timeout=5, command_timeout=command_timeout, server_settings=server_settings
    )


def with_scheme(url: str, scheme: str) -> str:
    return urlunsplit(urlsplit(url)._replace(scheme=scheme))


_PASSING_SQLSTATES = (
    "08",  # connection exceptions
    "40",  # serialization failure, deadlock
    "53",  # out of connections, memory, disk
    "57",  # shutdown, cannot connect now, canceled by an operator
    "55P03",  # lock not available
    "58",  # system error
)


def is_outage(error: BaseException) -> bool:
    """Whether something else is down, so that the work itself is not to blame for the failure."""
    if isinstance(error, asyncpg.DataError) or isinstance(error.__cause__, asyncpg.DataError):
        return False  # a value that cannot be sent: an InterfaceError to both libraries, but our own fault
    if isinstance(error, TemporaryFailure | TimeoutError | OSError | InterfaceError | PoolTimeoutError):
        return True
    if isinstance(error, DBAPIError):
        if error.connection_invalidated or isinstance(error, OperationalError):
            return True
        return _is_passing(getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None))
    if isinstance(error, asyncpg.PostgresError):
        return _is_passing(error.sqlstate)
    return isinstance(error, asyncpg.InterfaceError)


def _is_passing(sqlstate: str | None) -> bool:
    return bool(sqlstate) and str(sqlstate).startswith(_PASSING_SQLSTATES)

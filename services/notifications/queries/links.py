"""Short links by the SHA-256 of the long ones: wanted, then shortened, or refused for good."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.jobs import printable


@dataclass(frozen=True, slots=True)
class WantedLink:
    """A link about to be shortened."""

    url: str
    attempts: int


_LIST_SHORT = text("""
    select url, short_url from short_links
    where url_hash = any(cast(:hashes as bytea[])) and short_url is not null
""")

# Sorted: two that want the same links then wait for each other, never both.
_ADD_WANTED = text("""
    insert into short_links (url_hash, url, due_at, wanted_at)
    select url_hash, url, :now, :now
    from unnest(cast(:hashes as bytea[]), cast(:urls as text[])) as wanted (url_hash, url)
    order by url_hash
    on conflict (url_hash) do nothing
""")

_CLAIM = text("""
    update short_links set attempts = attempts + 1, due_at = :lease_until
    where url_hash = (
        select url_hash from short_links
        where short_url is null and refused_at is null and due_at <= :now
        order by due_at limit 1 for update skip locked
    )
    returning url, attempts
""")

_MARK_SHORT = text("""
    insert into short_links as l (url_hash, url, short_url, due_at, wanted_at, shortened_at)
    values (:url_hash, :url, :short_url, :now, :now, :now)
    on conflict (url_hash) do update
    set short_url = coalesce(l.short_url, excluded.short_url), shortened_at = coalesce(l.shortened_at, :now),
        answer = null, refused_at = null
    returning short_url
""")

_MARK_TROUBLE = text("""
    update short_links
    set answer = :answer, due_at = coalesce(cast(:due_at as timestamptz), due_at),
        refused_at = case when cast(:due_at as timestamptz) is null then cast(:now as timestamptz) end
    where url_hash = :url_hash and short_url is null
""")


def hash_of(url: str) -> bytes:
    return sha256(url.encode(errors="surrogatepass")).digest()


async def list_short_links(session: AsyncSession, urls: Collection[str]) -> dict[str, str]:
    """Short by long, of those that are known."""
    if not urls:
        return {}
    rows = await session.execute(_LIST_SHORT, {"hashes": [hash_of(url) for url in urls]})
    return {row.url: row.short_url for row in rows}


async def add_wanted_links(session: AsyncSession, urls: Collection[str], *, now: datetime) -> None:
    if urls:
        values = {"hashes": [hash_of(url) for url in urls], "urls": list(urls), "now": now}
        await session.execute(_ADD_WANTED, values)


async def claim_wanted_link(
    session: AsyncSession, *, now: datetime, lease_until: datetime
) -> WantedLink | None:
    """The one that is due for longest; nobody else takes it before the lease runs out."""
    row = (await session.execute(_CLAIM, {"now": now, "lease_until": lease_until})).one_or_none()
    return None if row is None else WantedLink(row.url, row.attempts)


async def mark_short(session: AsyncSession, url: str, short_url: str, *, now: datetime) -> str:
    """The short link that counts from now on: of two that were made at once, the first that was noted."""
    values = {"url_hash": hash_of(url), "url": url, "short_url": short_url, "now": now}
    return str((await session.execute(_MARK_SHORT, values)).scalar_one())


async def mark_link_trouble(
    session: AsyncSession, url: str, answer: str, *, now: datetime, due_at: datetime | None
) -> None:
    """`due_at`: when it is tried again; None: never."""
    values = {"url_hash": hash_of(url), "answer": printable(answer), "now": now, "due_at": due_at}
    await session.execute(_MARK_TROUBLE, values)

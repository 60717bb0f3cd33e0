"""How often the links of mails are followed, in this process: it spares what is behind them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from aiolimiter import AsyncLimiter
from starlette.requests import Request

A_MINUTE = 60.0
LINKS_REMEMBERED = 10_000


class Visits:
    """Only what was signed here is counted, so that nobody who guesses uses it up for the others."""

    def __init__(self, a_minute: int, a_minute_and_link: int) -> None:
        self._all = AsyncLimiter(a_minute, A_MINUTE)
        self._a_minute_and_link = a_minute_and_link
        self._by_link: OrderedDict[Hashable, AsyncLimiter] = OrderedDict()

    async def allows(self, link: Hashable) -> bool:
        limiter = self._by_link.pop(link, None) or AsyncLimiter(self._a_minute_and_link, A_MINUTE)
        self._by_link[link] = limiter
        if len(self._by_link) > LINKS_REMEMBERED:
            self._by_link.popitem(last=False)
        if not (limiter.has_capacity() and self._all.has_capacity()):
            return False
        await limiter.acquire()
        await self._all.acquire()
        return True


def is_person(request: Request) -> bool:
    """Not a mail server that checks the link, nor a browser that fetches ahead."""
    ahead = ("sec-purpose", "purpose", "x-moz", "x-purpose")
    is_ahead = any("prefetch" in request.headers.get(name, "").lower() for name in ahead)
    return request.method == "GET" and not is_ahead

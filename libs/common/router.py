"""Which fact starts which function: the wiring table of a service, checked by mypy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.database import Uow
from libs.common.envelope import Envelope
from libs.common.events import TELLERS, Event
from libs.common.telemetry import current_traceparent
from libs.common.topics import topic_of

E = TypeVar("E", bound=Event)

Handler = Callable[[E, Uow], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Heard(Generic[E]):
    """A fact as a fold hears it, with the envelope that numbers it and, when it was just read, its offset in
    its partition of Kafka (a key has one partition)."""

    event: E
    envelope: Envelope
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class Taken(Generic[E]):
    """A fact to be worked, and the batch's unit of work as seen from it: what is told there, it caused."""

    event: E
    uow: Uow

    def resume_trace(self) -> None:
        """From here on, log lines carry this fact's trace."""
        current_traceparent.set(self.uow.cause.traceparent if self.uow.cause else None)


BatchHandler = Callable[[Sequence[Taken[E]]], Awaitable[None]]

Fold = Callable[[Sequence[Heard[E]], AsyncSession], Awaitable[None]]


class EventRouter:
    """`on` and `on_batch` for what has effects (inbox, once, in order per key); `fold` for copies kept for
    reading."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.handlers: dict[str, BatchHandler[Any]] = {}
        self.folds: dict[str, Fold[Any]] = {}
        self.heard: dict[str, type[Event]] = {}

    def on(self, event: type[E]) -> Callable[[Handler[E]], Handler[E]]:
        """Register the one handler of an event in this service: one event, one unit of work, once."""

        def register(handler: Handler[E]) -> Handler[E]:
            async def handle_each(batch: Sequence[Taken[E]]) -> None:
                for taken in batch:
                    taken.resume_trace()
                    await handler(taken.event, taken.uow)

            self._register(event, handle_each)
            return handler

        return register

    def on_batch(self, event: type[E]) -> Callable[[BatchHandler[E]], BatchHandler[E]]:
        """The same for a handler that works many events, of different keys, with few statements: one unit of
        work for all, and one for each alone when that fails."""

        def register(handler: BatchHandler[E]) -> BatchHandler[E]:
            self._register(event, handler)
            return handler

        return register

    def _register(self, event: type[E], handler: BatchHandler[E]) -> None:
        if event.type in self.handlers:
            raise TypeError(f"{self.service} already has a handler for {event.type}")
        self.handlers[event.type] = handler
        self.heard[event.type] = event

    def fold(self, event: type[E]) -> Callable[[Fold[E]], Fold[E]]:
        """Register the fold of an event: batches, in any order, repeated; the same result every time."""

        def register(fold: Fold[E]) -> Fold[E]:
            if event.type in self.folds:
                raise TypeError(f"{self.service} already has a fold for {event.type}")
            self.folds[event.type] = fold
            self.heard[event.type] = event
            return fold

        return register

    def fold_also(self, event: type[E]) -> Callable[[Fold[E]], Fold[E]]:
        """Register one more copy kept of an event: folded after those that are there, in one transaction."""

        def register(fold: Fold[E]) -> Fold[E]:
            first = self.folds.get(event.type)

            async def fold_both(heard: Sequence[Heard[E]], session: AsyncSession) -> None:
                if first is not None:
                    await first(heard, session)
                await fold(heard, session)

            self.folds[event.type] = fold_both
            self.heard[event.type] = event
            return fold

        return register

    def topics(self) -> list[str]:
        tellers = {teller for event in self.heard.values() for teller in _tellers_of(event)}
        return sorted(topic_of(teller) for teller in tellers)


def _tellers_of(event: type[Event]) -> tuple[str, ...]:
    """Whose topics an event may be on: what any service may tell is on every topic but Stripe's own."""
    if event.teller() != "any":
        return (event.teller(),)
    return tuple(teller for teller in TELLERS if teller != "stripe")

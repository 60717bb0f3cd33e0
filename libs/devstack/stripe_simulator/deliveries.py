"""Webhooks on their way: signed, retried with back-off, a bounded number at once to each endpoint."""

import asyncio
import hashlib
import hmac
import json
import time
from collections import OrderedDict, defaultdict

from libs.devstack.stripe_simulator.chaos import DeliveryRule
from libs.devstack.stripe_simulator.http_post import HttpPoster
from libs.devstack.stripe_simulator.settings import SimulatorSettings
from libs.devstack.stripe_simulator.shapes import shown_event
from libs.devstack.stripe_simulator.store import Record, Store

_KEPT_BODIES = 4096
_FLUSH_SECONDS = 0.05
_PENDING = "pending"


def signature_header(secret: str, body: bytes, at: int) -> str:
    """`Stripe-Signature` for a body sent at a Unix time."""
    signed = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={signed}"


class Deliverer:
    """Sends queued deliveries and tries again until an endpoint answers 2xx."""

    def __init__(self, settings: SimulatorSettings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._queued: list[tuple[Record, float]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._posters: dict[str, HttpPoster] = {}
        self._slots: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(settings.webhook_concurrency)
        )
        self._bodies: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._by_event: defaultdict[str, list[Record]] = defaultdict(list)
        for delivery in store.oldest_first("_delivery"):
            self._by_event[delivery["event"]].append(delivery)
        self._flusher: asyncio.Task[None] | None = None

    # -- what others ask

    def queue(self, event: Record, rule: DeliveryRule) -> None:
        """Note a delivery for each copy and endpoint; they leave with `send_queued`, after the commit."""
        for endpoint in self._endpoints_for(event):
            for copy in range(rule.copies):
                self._add(event, endpoint, f"{event['id']}:{endpoint['id']}:{copy}", rule)

    def queue_again(self, event: Record) -> None:
        """A resend by hand: one more copy for each endpoint."""
        number = len(self._by_event[event["id"]])
        for endpoint in self._endpoints_for(event):
            self._add(event, endpoint, f"{event['id']}:{endpoint['id']}:again{number}", DeliveryRule())

    def send_queued(self) -> None:
        queued, self._queued = self._queued, []
        for delivery, delay_seconds in queued:
            self._send_after(delivery, delay_seconds)

    def of_event(self, event_id: str) -> list[Record]:
        return self._by_event.get(event_id, [])

    def pending_webhooks(self, event_id: str) -> int:
        """How many endpoints have not yet accepted the event."""
        return len({delivery["endpoint"] for delivery in self.of_event(event_id) if _is_waiting(delivery)})

    def is_undelivered(self, event_id: str) -> bool:
        """True while a delivery is pending, or when one failed for good."""
        return any(delivery["status"] != "delivered" for delivery in self.of_event(event_id))

    # -- life

    def start(self) -> None:
        """Go on with what an earlier run left pending."""
        self._flusher = asyncio.create_task(self._flush_now_and_then())
        for delivery in self._store.oldest_first("_delivery"):
            if _is_waiting(delivery):
                self._send_after(delivery, 0.0)

    async def stop(self) -> None:
        for timer in self._timers:
            timer.cancel()
        running = [*self._tasks, *([self._flusher] if self._flusher else [])]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for poster in self._posters.values():
            poster.close()

    # -- one delivery

    def _endpoints_for(self, event: Record) -> list[Record]:
        return [
            endpoint
            for endpoint in self._store.oldest_first("webhook_endpoint")
            if endpoint["status"] == "enabled" and _wants(endpoint, event["type"])
        ]

    def _add(self, event: Record, endpoint: Record, key: str, rule: DeliveryRule) -> None:
        delivery: Record = {
            "object": "_delivery",
            "id": key,
            "event": event["id"],
            "type": event["type"],
            "endpoint": endpoint["id"],
            "status": _PENDING,
            "lose_first": rule.lose_first,
            "lose_all": rule.lose_all,
            "tries": [],
        }
        self._store.put(delivery)
        self._by_event[event["id"]].append(delivery)
        self._queued.append((delivery, rule.delay_seconds()))

    def _send_after(self, delivery: Record, delay_seconds: float) -> None:
        def send() -> None:
            self._timers.discard(timer)
            task = asyncio.create_task(self._try(delivery))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        timer = asyncio.get_running_loop().call_later(delay_seconds, send)
        self._timers.add(timer)

    async def _try(self, delivery: Record) -> None:
        async with self._slots[delivery["endpoint"]]:
            endpoint = self._store.find("webhook_endpoint", delivery["endpoint"])
            event = self._store.find("event", delivery["event"])
            if endpoint is None or event is None or endpoint["status"] != "enabled":
                delivery["status"] = "failed"  # As with Stripe: a disabled endpoint loses the retry.
                self._store.put(delivery)
                return
            began = time.monotonic()
            status, error = await self._attempt(delivery, endpoint, event)
            self._note(delivery, status, error, time.monotonic() - began)

    async def _attempt(
        self, delivery: Record, endpoint: Record, event: Record
    ) -> tuple[int | None, str | None]:
        if delivery.get("lose_all") or len(delivery["tries"]) < delivery["lose_first"]:
            return None, "lost on the way, as told"
        body = self._body(event, endpoint)
        at = int(time.time())
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": signature_header(endpoint["_sim"]["secret"], body, at),
        }
        try:
            async with asyncio.timeout(self._settings.webhook_timeout_seconds):
                return await self._poster(endpoint["url"]).post(headers, body), None
        except TimeoutError:
            return None, "timed out"
        except (OSError, asyncio.IncompleteReadError, ValueError) as failure:
            return None, f"{type(failure).__name__}: {failure}"

    def _note(self, delivery: Record, status: int | None, error: str | None, seconds: float) -> None:
        is_accepted = status is not None and 200 <= status < 300  # noqa: PLR2004
        delivery["tries"] = [
            *delivery["tries"],
            {"at": int(time.time()), "status": status, "error": error, "seconds": round(seconds, 4)},
        ]
        tries = len(delivery["tries"])
        if is_accepted:
            delivery["status"] = "delivered"
        elif delivery.get("lose_all") or tries >= self._settings.webhook_tries:
            delivery["status"] = "failed"
        else:
            self._send_after(delivery, self._back_off_seconds(tries))
        self._store.put(delivery)

    def _back_off_seconds(self, tries: int) -> float:
        settings = self._settings
        # The exponent is bounded: a long outage must not overflow the float.
        seconds = settings.webhook_first_retry_seconds * settings.webhook_retry_factor ** min(tries - 1, 60)
        return min(seconds, settings.webhook_longest_retry_seconds)

    def _body(self, event: Record, endpoint: Record) -> bytes:
        key = (event["id"], endpoint["id"])
        body = self._bodies.get(key)
        if body is None:
            version = endpoint["api_version"] or self._settings.api_version
            shown = shown_event(event, version, self.pending_webhooks(event["id"]))
            body = self._bodies[key] = json.dumps(shown).encode()
            if len(self._bodies) > _KEPT_BODIES:
                self._bodies.popitem(last=False)
        return body

    def _poster(self, url: str) -> HttpPoster:
        poster = self._posters.get(url)
        if poster is None:
            poster = self._posters[url] = HttpPoster(url)
        return poster

    async def _flush_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            self._store.flush()


def _is_waiting(delivery: Record) -> bool:
    return bool(delivery["status"] == _PENDING)


def _wants(endpoint: Record, event_type: str) -> bool:
    return any(wanted in ("*", event_type) for wanted in endpoint["enabled_events"])

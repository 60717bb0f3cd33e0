"""A typed client for the simulator's controls, for tests and for the scenario of `make up`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx


@dataclass(frozen=True)
class RenewalMade:
    """The Stripe ids of a customer whose renewal was just attempted; the first method is the default."""

    customer: str
    subscription: str
    invoice: str
    payment_methods: list[str]


@dataclass(frozen=True)
class PaymentAttempt:
    """One charge tried, counted at the simulator; `outcome`: pay, decline, authenticate or process."""

    invoice: str
    customer: str
    payment_method: str
    fingerprint: str
    attempt_count: int
    is_automatic: bool
    idempotency_key: str | None
    outcome: str
    decline_code: str | None
    charge: str | None


@dataclass(frozen=True)
class WebhookTry:
    """One try of a delivery; `status` is the HTTP status, None without an answer."""

    at: int
    status: int | None
    error: str | None
    seconds: float


@dataclass(frozen=True)
class WebhookDelivery:
    """One copy of an event on its way to one endpoint; `status`: pending, delivered or failed."""

    id: str
    event: str
    type: str
    endpoint: str
    status: str
    tries: list[WebhookTry]


@dataclass(frozen=True)
class InvoiceState:
    id: str
    status: str
    customer: str
    number: str | None
    attempt_count: int
    next_payment_attempt: int | None
    amount_remaining: int


@dataclass(frozen=True)
class SimulatorState:
    """Counts by status, outcome or type; `now` is the simulated Unix time, `requests` those of the API since
    the simulator started, by method and path."""

    now: int
    counts: dict[str, int]
    invoices: dict[str, int]
    attempts: dict[str, int]
    charges: dict[str, int]
    events: dict[str, int]
    deliveries: dict[str, int]
    requests: dict[str, int]
    chaos: dict[str, Any]


class SimulatorControl:
    """The controls of the simulator at `base_url`; close it, or use it as a context manager.

    Every method raises httpx.HTTPStatusError for a refusal and httpx.TransportError when nobody answers.
    """

    def __init__(self, base_url: str, *, timeout_seconds: float = 30.0) -> None:
        self._http = httpx.AsyncClient(base_url=f"{base_url}/_sim", timeout=timeout_seconds)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    # -- what happens

    async def renewal_fails(
        self,
        *,
        name: str,
        email: str,
        cards: Sequence[str],
        metadata: Mapping[str, str] | None = None,
        amount_cents: int = 2990,
    ) -> RenewalMade:
        """A new customer's subscription is renewed and charged once on its first card.

        `cards`: `decline`, `decline_<decline_code>`, `pay`, `3ds`, `processing` (each another card; with
        `lost_` before it, the first answer to a `pay` with it is lost after the charge), or a Stripe test
        token or number. It is a failure as long as the first one does not pay.
        """
        made = await self._post(
            "/renewals",
            {
                "name": name,
                "email": email,
                "cards": list(cards),
                "metadata": dict(metadata or {}),
                "amount_cents": amount_cents,
            },
        )
        return RenewalMade(**made)

    async def renewal_fails_again(self, customer: str, *, amount_cents: int = 2990) -> RenewalMade:
        """One more subscription of the same customer, and the same cards: a second unpaid invoice."""
        made = await self._post(f"/customers/{customer}/renewals", {"amount_cents": amount_cents})
        return RenewalMade(**made)

    async def attempt(self, invoice: str) -> InvoiceState:
        """One automatic attempt of Stripe's own schedule, now, on the default card."""
        return InvoiceState(**await self._post(f"/invoices/{invoice}/attempt"))

    async def settle(
        self, invoice: str, *, succeeds: bool, decline_code: str = "generic_decline"
    ) -> InvoiceState:
        """End a payment that is `processing`."""
        wish = {"succeeds": succeeds, "decline_code": decline_code}
        return InvoiceState(**await self._post(f"/invoices/{invoice}/settle", wish))

    async def behave(self, payment_method: str, behaviour: str) -> None:
        """From now on the method pays, declines, …: the words of `renewal_fails`."""
        await self._post(f"/payment_methods/{payment_method}/behaviour", {"behaviour": behaviour})

    async def dispute(self, charge: str, reason: str = "fraudulent") -> str:
        """Open a dispute; its id."""
        return str((await self._post(f"/charges/{charge}/dispute", {"reason": reason}))["id"])

    async def advance_clock(self, seconds: int) -> int:
        """Move the simulated clock; what becomes due happens. The new Unix time."""
        return int((await self._post("/clock/advance", {"seconds": seconds}))["now"])

    async def resend(self, event: str) -> None:
        await self._post(f"/events/{event}/resend")

    async def add_endpoint(
        self,
        url: str,
        secret: str,
        *,
        api_version: str | None = None,
        enabled_events: Sequence[str] = ("*",),
    ) -> str:
        """A webhook endpoint with a secret of one's choice; its id."""
        wish: dict[str, Any] = {"url": url, "secret": secret, "enabled_events": list(enabled_events)}
        if api_version:
            wish["api_version"] = api_version
        return str((await self._post("/endpoints", wish))["id"])

    # -- troubles

    async def chaos(
        self,
        *,
        event_type: str = "*",
        copies: int = 1,
        shuffle: bool = False,
        max_delay_seconds: float = 0.0,
        lose_first: int = 0,
        lose_all: bool = False,
    ) -> None:
        """How webhooks of events still to come travel: copies at once, shuffled, late, lost at first, or lost
        for good with all their retries."""
        await self._post(
            "/chaos/deliveries",
            {
                "event_type": event_type,
                "copies": copies,
                "shuffle": shuffle,
                "max_delay_seconds": max_delay_seconds,
                "lose_first": lose_first,
                "lose_all": lose_all,
            },
        )

    async def payment_chaos(
        self,
        *,
        before_seconds: tuple[float, float] = (0.0, 0.0),
        after_seconds: tuple[float, float] = (0.0, 0.0),
        lose_answers: int = 0,
    ) -> None:
        """How `pay` behaves: waits before and after the charge, answers lost after the charge."""
        await self._post(
            "/chaos/payment",
            {"before_seconds": before_seconds, "after_seconds": after_seconds, "lose_answers": lose_answers},
        )

    async def fail_requests(
        self,
        *,
        status: int = 500,
        count: int = 1,
        path: str = "/v1/",
        after_effect: bool = False,
        retry_after_seconds: float | None = None,
    ) -> None:
        """Let the next `count` requests whose path contains `path` fail, before or after their effect.

        `status` 0: no answer ever comes.
        """
        await self._post(
            "/chaos/failures",
            {
                "status": status,
                "count": count,
                "path": path,
                "after_effect": after_effect,
                "retry_after_seconds": retry_after_seconds,
            },
        )

    async def latency(self, seconds: float) -> None:
        """From now on every request of the API is answered so much later."""
        await self._post("/chaos/latency", {"seconds": seconds})

    async def calm(self) -> None:
        """Switch all troubles off."""
        (await self._http.delete("/chaos")).raise_for_status()

    # -- the books

    async def state(self) -> SimulatorState:
        return SimulatorState(**await self._get("/state"))

    async def payments(self, invoice: str | None = None) -> list[PaymentAttempt]:
        """Every payment attempt that reached a card, oldest first."""
        rows = await self._get("/attempts", invoice=invoice)
        left_out = ("object", "id", "at")
        return [PaymentAttempt(**{k: v for k, v in row.items() if k not in left_out}) for row in rows]

    async def charges(self, invoice: str | None = None, *, status: str = "succeeded") -> list[dict[str, Any]]:
        """Charges that really happened: id, status, amount, invoice, customer, payment_method."""
        rows: list[dict[str, Any]] = await self._get("/charges", invoice=invoice, status=status)
        return rows

    async def invoices(self) -> list[InvoiceState]:
        return [InvoiceState(**row) for row in await self._get("/invoices")]

    async def deliveries(
        self, *, status: str | None = None, event: str | None = None, event_type: str | None = None
    ) -> list[WebhookDelivery]:
        rows = await self._get("/deliveries", status=status, event=event, event_type=event_type)
        return [_delivery(row) for row in rows]

    async def deliveries_pending(self) -> int:
        """How many webhook deliveries still have to be accepted."""
        return (await self.state()).deliveries.get("pending", 0)

    async def _post(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        response = await self._http.post(path, json=body)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer

    async def _get(self, path: str, **query: str | None) -> Any:
        response = await self._http.get(path, params={k: v for k, v in query.items() if v is not None})
        response.raise_for_status()
        return response.json()


def _delivery(row: dict[str, Any]) -> WebhookDelivery:
    tries = [WebhookTry(**one) for one in row["tries"]]
    names = ("id", "event", "type", "endpoint", "status")
    return WebhookDelivery(**{name: row[name] for name in names}, tries=tries)

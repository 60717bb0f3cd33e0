"""Stripe's API, as far as Relance uses it, through Stripe's own library. No retries here: callers decide."""

from __future__ import annotations

import asyncio
import json
import math
import ssl
from collections.abc import Coroutine, Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx
import stripe
from aiolimiter import AsyncLimiter
from prometheus_client import Counter, Gauge
from stripe.params import (
    CustomerPaymentMethodListParams,
    EventListParams,
    EventListParamsCreated,
    InvoiceListParams,
)
from stripe.params.billing_portal import SessionCreateParams

from libs.common.errors import RelanceError, UnknownOutcome
from libs.integrations.breaker import Breaker
from libs.integrations.stripe.answers import (
    Charge,
    Refused,
    ThrottledError,
    charge_of,
    charge_of_invoice,
    failure_of,
    is_trouble,
)
from libs.integrations.stripe.fields import JsonObject, id_of
from libs.integrations.stripe.objects import (
    Customer,
    Invoice,
    PaymentMethod,
    collecting_method_id,
    default_method_id,
    last_failure_of,
    payment_intents,
    read_customer,
    read_invoice,
    read_payment_method,
)
from libs.integrations.stripe.pages import EventPage, InvoicePage, Unpaid
from libs.integrations.stripe.subscriptions import Dispute, Subscription, read_dispute, read_subscription

API_VERSION = "2026-06-24.dahlia"
LARGEST_PAGE = 100
MOST_CONNECTIONS = 200
WITH_ALL = ("customer", "parent.subscription_details.subscription", "payments.data.payment.payment_intent")
LONGEST_BURST_SECONDS = 0.2
"""After a rest, at most what the pace allows in so much time is sent at once."""
LONGEST_QUEUE_SECONDS = 1.0
"""Work for so much time waits for its turn: enough that none of the pace is lost, no more than that."""

REQUESTS = Counter("relance_stripe_requests_total", "Requests to Stripe by what became of them", ["outcome"])
BREAKER_OPEN = Gauge("relance_stripe_breaker_open", "1 while Stripe fails and only single tries are made")


class _Http(stripe.HTTPXClient):
    """The library's own keeps 20 connections: of a hundred requests at once, most would begin with TLS."""

    def __init__(self, timeout_seconds: float) -> None:
        super().__init__(timeout=timeout_seconds)
        limits = httpx.Limits(max_connections=MOST_CONNECTIONS, max_keepalive_connections=MOST_CONNECTIONS)
        tls = ssl.create_default_context(cafile=stripe.ca_bundle_path)
        self._client_async = httpx.AsyncClient(verify=tls, limits=limits)


class Stripe:
    """One account's API. Every call raises TemporaryFailure when Stripe cannot answer now, UnknownOutcome
    when no answer came, ServerFailure on 5xx, PermanentFailure when the request itself is wrong (an unknown
    object).

    All callers share one pace. The breaker learns from every answer; whoever begins work asks for room.
    """

    def __init__(
        self,
        api_key: str,
        *,
        api_base: str,
        timeout_seconds: float,
        requests_per_second: float,
        breaker: Breaker | None = None,
    ) -> None:
        self.breaker = breaker or Breaker(failures=5, rest_seconds=10)
        self._timeout_seconds = timeout_seconds
        self._http = _Http(timeout_seconds)
        self._client = stripe.StripeClient(
            api_key,
            base_addresses={"api": api_base.rstrip("/")},
            http_client=self._http,
            max_network_retries=0,
            stripe_version=API_VERSION,
        )
        burst = max(1.0, requests_per_second * LONGEST_BURST_SECONDS)
        self._limiter = AsyncLimiter(burst, burst / requests_per_second)
        self._longest_queue = math.ceil(requests_per_second * LONGEST_QUEUE_SECONDS)
        self._queue = 0

    def room(self, wanted: int) -> int:
        """How many pieces of work may be begun now: as many as keep the pace used, however long Stripe takes
        to answer; while it fails, none, but for a single try now and then."""
        wanted = min(wanted, self._longest_queue - self._queue)
        return self.breaker.room(wanted) if wanted > 0 else 0

    def give_back_room(self) -> None:
        """Nothing was there to be begun."""
        self.breaker.give_back()

    async def get_invoice(self, invoice_id: str) -> Invoice:
        return read_invoice(await self._call(self._client.v1.invoices.retrieve_async(invoice_id)))

    async def get_customer(self, customer_id: str) -> Customer:
        return read_customer(await self._call(self._client.v1.customers.retrieve_async(customer_id)))

    async def get_subscription(self, subscription_id: str) -> Subscription:
        """Raises PermanentFailure when Stripe knows none of this id."""
        return read_subscription(
            await self._call(self._client.v1.subscriptions.retrieve_async(subscription_id))
        )

    async def get_dispute(self, dispute_id: str) -> tuple[Dispute, str | None]:
        """A dispute, and the customer whose charge it is about, if it had one."""
        found = await self._call(self._client.v1.disputes.retrieve_async(dispute_id, {"expand": ["charge"]}))
        charge = found.get("charge")
        return read_dispute(found), id_of(charge.get("customer")) if isinstance(charge, dict) else None

    async def get_unpaid(self, invoice_id: str) -> Unpaid:
        """An invoice with its customer, its subscription and its payments."""
        thing = await self._call(
            self._client.v1.invoices.retrieve_async(invoice_id, {"expand": list(WITH_ALL)})
        )
        customer = thing.get("customer")
        intents = payment_intents(thing.get("payments") or {})
        return Unpaid(
            invoice=read_invoice(thing),
            customer=read_customer(customer) if isinstance(customer, dict) else None,
            default_payment_method_id=default_method_id(thing),
            last_failure=last_failure_of(intents),
            collecting_method_id=collecting_method_id(intents),
        )

    async def list_payment_methods(self, customer_id: str) -> list[PaymentMethod]:
        """All of a customer's saved methods, of every type, newest first."""
        methods: list[PaymentMethod] = []
        params: CustomerPaymentMethodListParams = {"limit": LARGEST_PAGE}
        while True:
            page = await self._call(self._client.v1.customers.payment_methods.list_async(customer_id, params))
            methods.extend(read_payment_method(thing) for thing in page["data"])
            if not page.get("has_more"):
                return methods
            params = {"limit": LARGEST_PAGE, "starting_after": page["data"][-1]["id"]}

    async def find_collecting_method_id(self, invoice_id: str) -> str | None:
        """The payment method that paid the invoice, or whose payment is still under way."""
        page = await self._call(
            self._client.v1.invoice_payments.list_async(
                {"invoice": invoice_id, "expand": ["data.payment.payment_intent"], "limit": LARGEST_PAGE}
            )
        )
        return collecting_method_id(payment_intents(page))

    async def pay_invoice(self, invoice_id: str, payment_method_id: str, *, idempotency_key: str) -> Charge:
        """Try to collect an invoice off session.

        Raises UnknownOutcome when no answer came: ask again with the same key.
        """
        call = self._client.v1.invoices.pay_async(
            invoice_id,
            {"payment_method": payment_method_id, "off_session": True},
            {"idempotency_key": idempotency_key},
        )
        try:
            invoice = read_invoice(await self._call(call))
        except Refused as refused:
            return charge_of(refused)
        return charge_of_invoice(invoice)

    async def write_metadata(
        self, invoice_id: str, metadata: Mapping[str, str], *, idempotency_key: str
    ) -> Invoice:
        """Answers with the invoice as it is then; under a key that was used before, as it was then."""
        written = await self._call(
            self._client.v1.invoices.update_async(
                invoice_id, {"metadata": dict(metadata)}, {"idempotency_key": idempotency_key}
            )
        )
        return read_invoice(written)

    async def open_portal(self, customer_id: str, *, return_url: str | None) -> str:
        """The address of a session in which the customer changes cards; it is good for minutes."""
        params: SessionCreateParams = {"customer": customer_id}
        if return_url:
            params["return_url"] = return_url
        session = await self._call(self._client.v1.billing_portal.sessions.create_async(params))
        return str(session["url"])

    async def list_events(
        self, types: Sequence[str], *, since: datetime, until: datetime | None, older_than: str | None
    ) -> EventPage:
        """Events of these types created at `since` or later and before `until`; `older_than` is the id of the
        last one of the page before."""
        created: EventListParamsCreated = {"gte": int(since.timestamp())}
        if until is not None:
            created["lt"] = int(until.timestamp())
        params: EventListParams = {"types": list(types), "created": created, "limit": LARGEST_PAGE}
        if older_than is not None:
            params["starting_after"] = older_than
        page = await self._call(self._client.v1.events.list_async(params))
        return EventPage(page["data"], bool(page.get("has_more")))

    async def list_open_invoices(self, *, since: datetime, older_than: str | None) -> InvoicePage:
        """Invoices that Stripe collects by itself, created at `since` or later, and still open."""
        params: InvoiceListParams = {
            "status": "open",
            "collection_method": "charge_automatically",
            "created": {"gte": int(since.timestamp())},
            "limit": LARGEST_PAGE,
        }
        if older_than is not None:
            params["starting_after"] = older_than
        page = await self._call(self._client.v1.invoices.list_async(params))
        return InvoicePage([read_invoice(thing) for thing in page["data"]], bool(page.get("has_more")))

    async def _call(self, call: Coroutine[Any, Any, Any]) -> JsonObject:
        try:
            await self._wait_for_turn()
            began_at = self.breaker.now()
            answer = await self._ask(call)
        except RelanceError as failure:
            self._note_failure(failure, began_at)
            raise
        finally:
            call.close()  # one that was canceled before its turn was never begun
        REQUESTS.labels("answered").inc()
        self._note_success(began_at)
        body: JsonObject = json.loads(answer.last_response.body)
        return body

    async def _wait_for_turn(self) -> None:
        self._queue += 1
        try:
            await self._limiter.acquire()
        finally:
            self._queue -= 1

    async def _ask(self, call: Coroutine[Any, Any, Any]) -> Any:
        """The library bounds each wait of a request; one that drips on for ever is ended here."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await call
        except TimeoutError as error:
            raise UnknownOutcome(f"no answer from Stripe within {self._timeout_seconds:g} s") from error
        except stripe.StripeError as error:
            raise failure_of(error) from error

    def _note_success(self, began_at: float) -> None:
        self.breaker.note_success(began_at)
        BREAKER_OPEN.set(self.breaker.is_open)

    def _note_failure(self, failure: RelanceError, began_at: float) -> None:
        if isinstance(failure, Refused):
            REQUESTS.labels("refused").inc()
            self._note_success(began_at)  # to be refused is to be answered
            return
        REQUESTS.labels("failed" if is_trouble(failure) else "busy").inc()
        if is_trouble(failure):
            self.breaker.note_failure(began_at)
        if isinstance(failure, ThrottledError) and failure.retry_after_seconds is not None:
            self.breaker.open_for(failure.retry_after_seconds)
        BREAKER_OPEN.set(self.breaker.is_open)

    async def close(self) -> None:
        await self._http.close_async()  # type: ignore[no-untyped-call]

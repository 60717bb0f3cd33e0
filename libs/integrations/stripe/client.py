"""Stripe's API, as far as Relance uses it, through Stripe's own library. No retries here: callers decide."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import stripe
from aiolimiter import AsyncLimiter
from stripe.params import (
    CustomerPaymentMethodListParams,
    EventListParams,
    EventListParamsCreated,
    InvoiceListParams,
)
from stripe.params.billing_portal import SessionCreateParams

from libs.common.errors import PermanentFailure, TemporaryFailure, UnknownOutcome
from libs.integrations.stripe.fields import JsonObject, id_of
from libs.integrations.stripe.objects import (
    Customer,
    Invoice,
    PaymentMethod,
    read_customer,
    read_invoice,
    read_payment_method,
)
from libs.integrations.stripe.subscriptions import Dispute, Subscription, read_dispute, read_subscription

API_VERSION = "2026-06-24.dahlia"
LARGEST_PAGE = 100
TOO_MANY_REQUESTS = 429
SERVER_ERROR = 500


class ChargeOutcome(StrEnum):
    """What became of one try to collect an invoice with one payment method."""

    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    ACTION_REQUIRED = "action_required"
    PROCESSING = "processing"
    ALREADY_PAID = "already_paid"
    NOT_OPEN = "not_open"


@dataclass(frozen=True, slots=True)
class Charge:
    """`invoice` is as Stripe answered it, where it did."""

    outcome: ChargeOutcome
    decline_code: str | None = None
    invoice: Invoice | None = None


@dataclass(frozen=True, slots=True)
class EventPage:
    """A page of the list of events, newest first, each as Stripe's JSON has it."""

    events: list[JsonObject]
    has_more: bool


@dataclass(frozen=True, slots=True)
class InvoicePage:
    """A page of a list of invoices, newest first."""

    invoices: list[Invoice]
    has_more: bool


class ServerFailure(UnknownOutcome):
    """Stripe answered 5xx: it replays that answer for the same key, so only the charges tell the truth."""


class Stripe:
    """One account's API. Every call raises TemporaryFailure when Stripe cannot answer now, ServerFailure on
    5xx, PermanentFailure when the request itself is wrong (a bad key, an unknown object)."""

    def __init__(
        self,
        api_key: str,
        *,
        api_base: str,
        timeout_seconds: float,
        requests_per_second: float,
    ) -> None:
        self._http = stripe.HTTPXClient(timeout=timeout_seconds)
        self._client = stripe.StripeClient(
            api_key,
            base_addresses={"api": api_base.rstrip("/")},
            http_client=self._http,
            max_network_retries=0,
            stripe_version=API_VERSION,
        )
        self._limiter = AsyncLimiter(max(1.0, requests_per_second / 10), 0.1)

    async def get_invoice(self, invoice_id: str) -> Invoice:
        return read_invoice(await self._call(self._client.v1.invoices.retrieve_async(invoice_id)))

    async def get_customer(self, customer_id: str) -> Customer:
        return read_customer(await self._call(self._client.v1.customers.retrieve_async(customer_id)))

    async def get_subscription(self, subscription_id: str) -> Subscription:
        return read_subscription(
            await self._call(self._client.v1.subscriptions.retrieve_async(subscription_id))
        )

    async def get_dispute(self, dispute_id: str) -> tuple[Dispute, str | None]:
        """A dispute, and the customer whose charge it is about, if it had one."""
        found = await self._call(self._client.v1.disputes.retrieve_async(dispute_id, {"expand": ["charge"]}))
        charge = found.get("charge")
        return read_dispute(found), id_of(charge.get("customer")) if isinstance(charge, dict) else None

    async def get_subscription_default_payment_method_id(self, subscription_id: str) -> str | None:
        found = await self._call(self._client.v1.subscriptions.retrieve_async(subscription_id))
        method = found.get("default_payment_method")
        return method.get("id") if isinstance(method, dict) else method

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

    async def find_last_failed_method_id(self, invoice_id: str) -> str | None:
        """The payment method whose charge failed last, where Stripe tells."""
        for payment in await self._list_payment_intents(invoice_id):
            failed = (payment.get("last_payment_error") or {}).get("payment_method") or {}
            if failed.get("id"):
                return str(failed["id"])
        return None

    async def find_collecting_method_id(self, invoice_id: str) -> str | None:
        """The payment method that paid the invoice, or whose payment is still under way."""
        for payment in await self._list_payment_intents(invoice_id):
            method = payment.get("payment_method")
            if payment.get("status") in ("succeeded", "processing", "requires_capture") and method:
                return str(method["id"] if isinstance(method, dict) else method)
        return None

    async def _list_payment_intents(self, invoice_id: str) -> list[JsonObject]:
        page = await self._call(
            self._client.v1.invoice_payments.list_async(
                {"invoice": invoice_id, "expand": ["data.payment.payment_intent"], "limit": LARGEST_PAGE}
            )
        )
        payments = [(row.get("payment") or {}).get("payment_intent") for row in page["data"]]
        return [payment for payment in payments if isinstance(payment, dict)]

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
        except _Refused as refused:
            return _charge_of(refused)
        return _charge_of_invoice(invoice)

    async def write_metadata(
        self, invoice_id: str, metadata: Mapping[str, str], *, idempotency_key: str
    ) -> None:
        await self._call(
            self._client.v1.invoices.update_async(
                invoice_id, {"metadata": dict(metadata)}, {"idempotency_key": idempotency_key}
            )
        )

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

    async def _call(self, call: Awaitable[Any]) -> JsonObject:
        async with self._limiter:
            try:
                answer = await call
            except stripe.StripeError as error:
                raise _failure(error) from error
        body: JsonObject = json.loads(answer.last_response.body)
        return body

    async def close(self) -> None:
        await self._http.close_async()  # type: ignore[no-untyped-call]


class _Refused(PermanentFailure):
    """A 4xx that says something about the try itself."""

    def __init__(self, error: stripe.StripeError) -> None:
        super().__init__(f"Stripe refused: {error}")
        body = error.json_body if isinstance(error.json_body, dict) else {}
        details = body.get("error") or {}
        self.code: str | None = details.get("code") or error.code
        self.decline_code: str | None = details.get("decline_code")
        self.is_card_error = isinstance(error, stripe.CardError)


def _failure(error: stripe.StripeError) -> Exception:
    status = error.http_status or 0
    if isinstance(error, stripe.APIConnectionError) or status == 0:
        return UnknownOutcome(f"no answer from Stripe: {error}")
    retry_after = _retry_after(error)
    if status in (TOO_MANY_REQUESTS, 409) or error.code == "lock_timeout":
        return TemporaryFailure(f"Stripe asks to wait: {error}", retry_after_seconds=retry_after)
    if status >= SERVER_ERROR:
        return ServerFailure(f"Stripe answered {status}: {error}")
    if status in (401, 403):
        return TemporaryFailure(f"Stripe refuses our key, see STRIPE_SK: {error}", retry_after_seconds=30)
    return _Refused(error)


def _retry_after(error: stripe.StripeError) -> float | None:
    value = (error.headers or {}).get("retry-after")
    return float(value) if value and value.replace(".", "", 1).isdecimal() else None


def _charge_of(refused: _Refused) -> Charge:
    if refused.code == "invoice_already_paid" or "already paid" in str(refused).lower():
        return Charge(ChargeOutcome.ALREADY_PAID)
    decline_code = refused.decline_code or refused.code
    if "authentication_required" in (refused.decline_code, refused.code) or (
        refused.code == "invoice_payment_intent_requires_action"
    ):
        return Charge(ChargeOutcome.ACTION_REQUIRED, decline_code)
    if refused.code in ("invoice_not_editable", "invoice_not_open", "invoice_payment_not_allowed"):
        return Charge(ChargeOutcome.NOT_OPEN, decline_code)
    # Whatever else Stripe says about this method (expired, detached, not usable): it did not pay.
    return Charge(ChargeOutcome.DECLINED, decline_code)


def _charge_of_invoice(invoice: Invoice) -> Charge:
    if invoice.status == "paid":
        return Charge(ChargeOutcome.SUCCEEDED, invoice=invoice)
    if invoice.status == "open":
        # A debit takes days: the invoice stays open while the payment is under way.
        return Charge(ChargeOutcome.PROCESSING, invoice=invoice)
    return Charge(ChargeOutcome.NOT_OPEN, invoice=invoice)

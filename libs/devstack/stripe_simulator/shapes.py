"""How a record is shown: without the simulator's own notes, in the shape of an API version, expanded.

Inside, records hold the shape of today. Versions before Basil (2025-03-31) get back the fields that Basil
removed or moved.
"""

from collections.abc import Callable
from typing import Any

from libs.devstack.stripe_simulator.store import Record, Store

_BASIL = "2025-03-31"

KIND_BY_PREFIX = {
    "cus": "customer",
    "prod": "product",
    "price": "price",
    "pm": "payment_method",
    "sub": "subscription",
    "in": "invoice",
    "ii": "invoiceitem",
    "inpay": "invoice_payment",
    "pi": "payment_intent",
    "ch": "charge",
    "re": "refund",
    "du": "dispute",
    "seti": "setup_intent",
    "evt": "event",
    "we": "webhook_endpoint",
    "bps": "billing_portal.session",
}


def is_before_basil(version: str) -> bool:
    return version[:10] < _BASIL


def shown(record: Record, version: str) -> Record:
    """A record as a caller of this API version sees it."""
    if record.get("object") == "list":
        return {**record, "data": [shown(item, version) for item in record["data"]]}
    visible = {key: value for key, value in record.items() if key != "_sim"}
    older = _OLDER.get(record.get("object", "")) if is_before_basil(version) else None
    return {**visible, **older(record)} if older else visible


def shown_event(event: Record, version: str, pending_webhooks: int) -> Record:
    """An event with its frozen object in the shape of a version."""
    data = {**event["data"], "object": shown(event["data"]["object"], version)}
    return {**event, "api_version": version, "data": data, "pending_webhooks": pending_webhooks}


def _older_invoice(invoice: Record) -> Record:
    parent = (invoice["parent"] or {}).get("subscription_details") or {}
    lines = {**invoice["lines"], "data": [_older_line(line) for line in invoice["lines"]["data"]]}
    return {
        "subscription": parent.get("subscription"),
        "subscription_details": {"metadata": parent.get("metadata")},
        "payment_intent": invoice["_sim"]["payment_intent"],
        "charge": invoice["_sim"]["charge"],
        "paid": invoice["status"] == "paid",
        "paid_out_of_band": invoice["_sim"]["paid_out_of_band"],
        "tax": None,
        "lines": lines,
    }


def _older_line(line: Record) -> Record:
    details = line["parent"].get("subscription_item_details") if line["parent"] else None
    return {
        **line,
        "type": "subscription" if details else "invoiceitem",
        "subscription": details["subscription"] if details else None,
        "subscription_item": details["subscription_item"] if details else None,
        "proration": False,
    }


def _older_subscription(subscription: Record) -> Record:
    item = subscription["items"]["data"][0]
    return {
        "current_period_start": item["current_period_start"],
        "current_period_end": item["current_period_end"],
    }


def _older_payment(payment: Record) -> Record:
    return {"invoice": payment["_sim"]["invoice"]}


_OLDER: dict[str, Callable[[Record], Record]] = {
    "invoice": _older_invoice,
    "subscription": _older_subscription,
    "payment_intent": _older_payment,
    "charge": _older_payment,
}


class Expansion:
    """`expand[]`: ids replaced by what they name."""

    def __init__(self, store: Store, version: str) -> None:
        self._store = store
        self._version = version

    def expanded(self, record: Record, paths: list[str]) -> Record:
        """The shown record with every path (`payment.payment_intent`, `data.customer`) filled in."""
        for path in paths:
            record = self._fill(record, path.split("."))
        return record

    def _fill(self, node: Any, path: list[str]) -> Any:
        if isinstance(node, list):
            return [self._fill(item, path) for item in node]
        if not isinstance(node, dict) or not path:
            return node
        name, rest = path[0], path[1:]
        value = self._named(node.get(name)) if name in node else self._included(node, name)
        return {**node, name: self._fill(value, rest)}

    def _named(self, value: Any) -> Any:
        kind = KIND_BY_PREFIX.get(value.split("_", 1)[0]) if isinstance(value, str) else None
        record = self._store.find(kind, value) if kind else None
        if kind and record is None and self._store.find("_deleted", value):
            return {"id": value, "object": kind, "deleted": True}
        return shown(record, self._version) if record else value

    def _included(self, node: Record, name: str) -> Any:
        """Lists that Stripe shows only when asked: an invoice's payments, a customer's subscriptions."""
        match (node.get("object"), name):
            case ("invoice", "payments"):
                kind, column = "invoice_payment", "invoice"
            case ("customer", "subscriptions"):
                kind, column = "subscription", "customer"
            case ("charge", "refunds"):
                kind, column = "refund", "charge"
            case _:
                return None
        rows = [row for row in self._store.newest_first(kind) if row[column] == node["id"]]
        data = [shown(row, self._version) for row in rows]
        return {"object": "list", "data": data, "has_more": False, "url": f"/v1/{kind}s"}

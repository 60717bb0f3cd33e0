"""`/v1/account` and `/v1/balance`."""

from libs.devstack.stripe_simulator.api import Call, Routes
from libs.devstack.stripe_simulator.store import Record

routes = Routes()


@routes.get("/v1/account")
def get_account(call: Call) -> Record:
    return {
        "id": "acct_simulated",
        "object": "account",
        "business_type": "company",
        "charges_enabled": True,
        "country": "FR",
        "default_currency": "eur",
        "details_submitted": True,
        "email": None,
        "payouts_enabled": True,
        "type": "standard",
    }


@routes.get("/v1/balance")
def get_balance(call: Call) -> Record:
    charges = call.act.store.oldest_first("charge")
    total = sum(row["amount"] - row["amount_refunded"] for row in charges if row["paid"])
    funds = [{"amount": total, "currency": "eur", "source_types": {"card": total}}]
    return {"object": "balance", "available": funds, "livemode": False, "pending": []}

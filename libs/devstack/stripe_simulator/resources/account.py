"""`/v1/account`, `/v1/balance` and `/v1/billing_portal/sessions`."""

from libs.devstack.stripe_simulator.api import Call, Routes
from libs.devstack.stripe_simulator.store import Record
from libs.devstack.stripe_simulator.world import new_id

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


@routes.post("/v1/billing_portal/sessions")
def create_portal_session(call: Call) -> Record:
    customer = call.act.get("customer", call.params.required("customer"), "customer")
    return {
        "id": new_id("bps"),
        "object": "billing_portal.session",
        "configuration": "bpc_simulated",
        "created": call.act.now(),
        "customer": customer["id"],
        "flow": None,
        "livemode": False,
        "locale": None,
        "on_behalf_of": None,
        "return_url": call.params.text("return_url"),
        "url": f"{call.act.settings.public_url}/client/{customer['id']}",
    }

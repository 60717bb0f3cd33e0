"""`/v1/billing_portal/sessions`: a page in which a customer changes cards, for a while."""

from urllib.parse import urlsplit

from libs.devstack.stripe_simulator import cards
from libs.devstack.stripe_simulator.api import Call, Routes
from libs.devstack.stripe_simulator.errors import invalid
from libs.devstack.stripe_simulator.forms import Params
from libs.devstack.stripe_simulator.resources import payment_methods
from libs.devstack.stripe_simulator.store import Record
from libs.devstack.stripe_simulator.world import Act, new_id

SESSION = "billing_portal.session"

routes = Routes()


@routes.post("/v1/billing_portal/sessions")
def create_session(call: Call) -> Record:
    customer = call.act.get("customer", call.params.required("customer"), "customer")
    return_url = call.params.text("return_url")
    if return_url and urlsplit(return_url).scheme not in ("http", "https"):
        raise invalid("Not a valid URL", code="url_invalid", param="return_url")
    session_id = new_id("bps")
    session = {
        "id": session_id,
        "object": SESSION,
        "configuration": "bpc_simulated",
        "created": call.act.now(),
        "customer": customer["id"],
        "customer_account": None,
        "flow": None,
        "livemode": False,
        "locale": None,
        "on_behalf_of": None,
        "return_url": return_url,
        "url": f"{call.act.settings.public_url}/portail/{session_id}",
    }
    return call.act.put(session)


def add_card(act: Act, session: Record) -> None:
    """What the customer does in it: a card that pays becomes the default one."""
    customer = act.get("customer", session["customer"])
    method = payment_methods.add_payment_method(act, cards.simulated_card(cards.PAY), Params({}))
    payment_methods.attach(act, method, customer["id"])
    settings = {**customer["invoice_settings"], "default_payment_method": method["id"]}
    act.change(customer, "customer.updated", invoice_settings=settings)

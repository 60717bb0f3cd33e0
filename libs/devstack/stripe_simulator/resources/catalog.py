"""`/v1/products` and `/v1/prices`."""

from libs.devstack.stripe_simulator.api import Call, Routes
from libs.devstack.stripe_simulator.forms import Params, merged_metadata
from libs.devstack.stripe_simulator.store import Record
from libs.devstack.stripe_simulator.world import Act, new_id

routes = Routes()


def add_product(act: Act, params: Params) -> Record:
    product: Record = {
        "id": params.text("id") or new_id("prod"),
        "object": "product",
        "active": params.flag("active", default=True),
        "created": act.now(),
        "default_price": None,
        "description": params.text("description"),
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": merged_metadata({}, params),
        "name": params.required("name"),
        "type": "service",
        "updated": act.now(),
        "url": None,
    }
    return act.put(product, "product.created")


def add_price(act: Act, params: Params) -> Record:
    """A price; `product_data` makes its product too."""
    product_id = params.text("product")
    product = (
        act.get("product", product_id, "product")
        if product_id
        else add_product(act, params.table("product_data"))
    )
    recurring = params.table("recurring")
    amount = params.integer("unit_amount", 0)
    price: Record = {
        "id": new_id("price"),
        "object": "price",
        "active": params.flag("active", default=True),
        "billing_scheme": "per_unit",
        "created": act.now(),
        "currency": params.required("currency").lower(),
        "livemode": False,
        "lookup_key": params.text("lookup_key"),
        "metadata": merged_metadata({}, params),
        "nickname": params.text("nickname"),
        "product": product["id"],
        "recurring": _recurring(recurring) if recurring else None,
        "tax_behavior": params.text("tax_behavior", "unspecified"),
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring" if recurring else "one_time",
        "unit_amount": amount,
        "unit_amount_decimal": str(amount),
    }
    return act.put(price, "price.created")


def _recurring(params: Params) -> Record:
    return {
        "interval": params.required("interval"),
        "interval_count": params.integer("interval_count", 1),
        "meter": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }


@routes.post("/v1/products")
def create_product(call: Call) -> Record:
    return add_product(call.act, call.params)


@routes.get("/v1/products")
def list_products(call: Call) -> Record:
    return call.page("product")


@routes.get("/v1/products/{id}")
def get_product(call: Call) -> Record:
    return call.act.get("product", call.id)


@routes.post("/v1/products/{id}")
def update_product(call: Call) -> Record:
    product = call.act.get("product", call.id)
    fields: Record = {name: call.params.text(name) for name in ("name", "description") if name in call.params}
    fields["metadata"] = merged_metadata(product["metadata"], call.params)
    return call.act.change(product, "product.updated", **fields)


@routes.post("/v1/prices")
def create_price(call: Call) -> Record:
    return add_price(call.act, call.params)


@routes.get("/v1/prices")
def list_prices(call: Call) -> Record:
    return call.page("price", "product", "currency", "type")


@routes.get("/v1/prices/{id}")
def get_price(call: Call) -> Record:
    return call.act.get("price", call.id)


@routes.post("/v1/prices/{id}")
def update_price(call: Call) -> Record:
    price = call.act.get("price", call.id)
    fields: Record = {"metadata": merged_metadata(price["metadata"], call.params)}
    if "nickname" in call.params:
        fields["nickname"] = call.params.text("nickname")
    if "active" in call.params:
        fields["active"] = call.params.flag("active")
    return call.act.change(price, "price.updated", **fields)

"""`/v1/events` and `/v1/webhook_endpoints`."""

import secrets
from fnmatch import fnmatchcase

from libs.devstack.stripe_simulator.api import Call, Routes
from libs.devstack.stripe_simulator.errors import invalid, missing_parameter
from libs.devstack.stripe_simulator.forms import merged_metadata
from libs.devstack.stripe_simulator.lists import is_created_within, page
from libs.devstack.stripe_simulator.settings import WebhookTarget
from libs.devstack.stripe_simulator.shapes import shown_event
from libs.devstack.stripe_simulator.store import Record
from libs.devstack.stripe_simulator.world import Act, new_id

routes = Routes()

_MOST_TYPES = 20


@routes.get("/v1/events")
def list_events(call: Call) -> Record:
    act, params = call.act, call.params
    types = params.texts("types")
    if len(types) > _MOST_TYPES or (types and params.text("type")):
        raise invalid("Pass at most 20 types, or one type.", param="types")
    wanted = types or params.texts("type")
    success = params.text("delivery_success")
    deliverer = act.world.deliverer

    def is_wanted(event: Record) -> bool:
        return (
            (not wanted or any(fnmatchcase(event["type"], pattern) for pattern in wanted))
            and (success is None or deliverer.is_undelivered(event["id"]) != (success == "true"))
            and is_created_within(event, params)
        )

    found = page(call.path, params, act.store.newest_first("event"), is_wanted)
    return {**found, "data": [_shown(act, event) for event in found["data"]]}


@routes.get("/v1/events/{id}")
def get_event(call: Call) -> Record:
    return _shown(call.act, call.act.get("event", call.id))


def _shown(act: Act, event: Record) -> Record:
    """Events keep the account's version of their day, whatever the caller's."""
    pending = act.world.deliverer.pending_webhooks(event["id"])
    return shown_event(event, event["api_version"], pending)


def put_endpoint(act: Act, key: str, target: WebhookTarget) -> Record:
    """An endpoint as told: a new one, or the same one at another address."""
    return act.put(
        {
            "id": key,
            "object": "webhook_endpoint",
            "api_version": target.api_version,
            "application": None,
            "created": act.now(),
            "description": None,
            "enabled_events": list(target.enabled_events),
            "livemode": False,
            "metadata": {},
            "status": "enabled",
            "url": target.url,
            "_sim": {"secret": target.secret},
        }
    )


@routes.post("/v1/webhook_endpoints")
def create_webhook_endpoint(call: Call) -> Record:
    params = call.params
    if not params.texts("enabled_events"):
        raise missing_parameter("enabled_events")
    target = WebhookTarget(
        url=params.required("url"),
        secret=f"whsec_{secrets.token_hex(16)}",
        api_version=params.text("api_version") or call.act.settings.api_version,
        enabled_events=tuple(params.texts("enabled_events")),
    )
    endpoint = put_endpoint(call.act, new_id("we"), target)
    endpoint["metadata"] = merged_metadata({}, params)
    return {**endpoint, "secret": target.secret}


@routes.get("/v1/webhook_endpoints")
def list_webhook_endpoints(call: Call) -> Record:
    return call.page("webhook_endpoint")


@routes.get("/v1/webhook_endpoints/{id}")
def get_webhook_endpoint(call: Call) -> Record:
    return call.act.get("webhook_endpoint", call.id)


@routes.post("/v1/webhook_endpoints/{id}")
def update_webhook_endpoint(call: Call) -> Record:
    endpoint, params = call.act.get("webhook_endpoint", call.id), call.params
    fields: Record = {"metadata": merged_metadata(endpoint["metadata"], params)}
    if params.text("url"):
        fields["url"] = params.text("url")
    if params.texts("enabled_events"):
        fields["enabled_events"] = params.texts("enabled_events")
    if "disabled" in params:
        fields["status"] = "disabled" if params.flag("disabled") else "enabled"
    return call.act.change(endpoint, **fields)


@routes.delete("/v1/webhook_endpoints/{id}")
def delete_webhook_endpoint(call: Call) -> Record:
    call.act.get("webhook_endpoint", call.id)
    call.act.store.delete("webhook_endpoint", call.id)
    return {"id": call.id, "object": "webhook_endpoint", "deleted": True}

"""A Stripe for development and tests: objects, events and webhooks on loopback, with troubles on demand."""

from libs.devstack.stripe_simulator.app import create_simulator
from libs.devstack.stripe_simulator.settings import SimulatorSettings, WebhookTarget

__all__ = ["SimulatorSettings", "WebhookTarget", "create_simulator"]

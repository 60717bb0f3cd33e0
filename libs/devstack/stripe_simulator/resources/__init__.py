"""Stripe's resources: one file a resource, its routes and what they need to make it."""

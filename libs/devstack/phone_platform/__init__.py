"""A stand-in for the phone platform: it hears signed webhooks, does what they say, and can be difficult."""

"""A stand-in for smsmode: it takes SMS as REST v1 does, reports on them, and can be difficult."""

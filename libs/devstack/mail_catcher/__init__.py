"""A mail catcher for development and tests: SMTP in, nothing out, every mail to be looked at in a browser."""

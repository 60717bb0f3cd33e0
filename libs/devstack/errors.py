"""What can go wrong with the embedded servers."""


class DevstackFailure(Exception):
    """An embedded server cannot start or go on.

    The message is shown to a developer as it is, in French: what happened, where, and what to do about it.
    """

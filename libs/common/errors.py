"""What can go wrong, as the frame and every service name it.

RelanceError
├── TemporaryFailure   try again later; tries are not counted against the work
├── PermanentFailure   trying again cannot help: set aside, told, looked at by a person
├── UnknownOutcome     nobody can tell whether it happened: never done again blindly
└── MisconfiguredError  the process must not start like this
"""


class RelanceError(Exception):
    """Root of all errors that Relance raises on purpose."""


class TemporaryFailure(RelanceError):
    """It may work later. `retry_after_seconds` is the other side's own wish, when it stated one."""

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class PermanentFailure(RelanceError):
    """It will never work as it stands."""


class UnknownOutcome(RelanceError):
    """It may have happened: the answer was lost after the point of no return."""


class MisconfiguredError(RelanceError):
    """A setting is missing or wrong; the message says which, and what to write instead."""

"""What the clock starts: send what is due, work what providers say, ask where nothing was heard."""

from services.notifications.jobs.asking import Asking
from services.notifications.jobs.carriers import MailCarrier, SmsCarrier
from services.notifications.jobs.digests import Digesting, Posting
from services.notifications.jobs.expiring import expire_claims
from services.notifications.jobs.forgetting import forget_old
from services.notifications.jobs.reporting import work_provider_events
from services.notifications.jobs.sending import Sending
from services.notifications.jobs.shortening import Shortening

__all__ = [
    "Asking",
    "Digesting",
    "MailCarrier",
    "Posting",
    "Sending",
    "Shortening",
    "SmsCarrier",
    "expire_claims",
    "forget_old",
    "work_provider_events",
]

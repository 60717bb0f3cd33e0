"""What the clock starts: send what is due, work what providers say, ask where nothing was heard."""

from services.notifications.jobs.asking import Asking
from services.notifications.jobs.carriers import MailCarrier, SmsCarrier
from services.notifications.jobs.expiring import expire_claims
from services.notifications.jobs.reporting import work_provider_events
from services.notifications.jobs.sending import Sending

__all__ = ["Asking", "MailCarrier", "Sending", "SmsCarrier", "expire_claims", "work_provider_events"]

"""What the clock starts: send what is due, and give up waiting for those who never came back."""

from services.notifications.jobs.digests import Digesting, Posting
from services.notifications.jobs.expiring import expire_claims
from services.notifications.jobs.forgetting import forget_old
from services.notifications.jobs.sending import Sending
from services.notifications.jobs.shortening import Shortening

__all__ = ["Digesting", "Posting", "Sending", "Shortening", "expire_claims", "forget_old"]

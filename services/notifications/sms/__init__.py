"""Building an SMS: its text, its encoding, its parts, what it costs."""

from services.notifications.sms.encoding import Encoding, Measure, Offender, measure
from services.notifications.sms.text import SmsText, build_sms, render
from services.notifications.sms.transliteration import transliterate

__all__ = [
    "Encoding",
    "Measure",
    "Offender",
    "SmsText",
    "build_sms",
    "measure",
    "render",
    "transliterate",
]

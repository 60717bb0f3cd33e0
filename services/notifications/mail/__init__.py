"""Building a mail: a template and a fact's values become text, text becomes RFC 5322 bytes."""

from services.notifications.mail.message import build_mail
from services.notifications.mail.rendering import MailContent, render, template_version

__all__ = ["MailContent", "build_mail", "render", "template_version"]

"""SMTP: one mail server, spoken to over a few reused connections. Its words stop in this folder."""

from libs.integrations.smtp.address import ascii_address
from libs.integrations.smtp.answers import SmtpAccepted
from libs.integrations.smtp.dsn import MailerDsn
from libs.integrations.smtp.pool import Smtp

__all__ = ["MailerDsn", "Smtp", "SmtpAccepted", "ascii_address"]

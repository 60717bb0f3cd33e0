"""smsmode (REST v1): SMS out, its reports and its customers' replies in."""

from libs.integrations.smsmode.callbacks import read_callback
from libs.integrations.smsmode.client import Smsmode

__all__ = ["Smsmode", "read_callback"]

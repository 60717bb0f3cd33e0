"""Mail addresses as SMTP takes them."""

from __future__ import annotations

import re
from email.utils import getaddresses
from functools import lru_cache

from libs.common.errors import PermanentFailure

LONGEST_ADDRESS = 254  # RFC 5321, erratum 1690
_LOCAL_PART = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}")
_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@lru_cache(maxsize=1024)  # our own is asked for at every mail, a recipient's twice
def ascii_address(address: str) -> str:
    """The bare address in `address` (which may be `Name <address>`), its domain in ASCII (IDNA).

    Raises PermanentFailure when no mail can ever go there: malformed, too long, or a local part that needs
    SMTPUTF8, which hardly any server speaks.
    """
    if _CONTROL.search(address):
        raise PermanentFailure("the mail address has a control character in it")
    found = getaddresses([address.strip()])
    local_part, _, domain = found[0][1].rpartition("@") if len(found) == 1 else ("", "", "")
    ascii_domain = _ascii_domain(domain)
    if not _LOCAL_PART.fullmatch(local_part) or not _DOMAIN.fullmatch(ascii_domain):
        raise PermanentFailure("this is not a mail address that a mail server takes")
    bare = f"{local_part}@{ascii_domain}"
    if len(bare) > LONGEST_ADDRESS:
        raise PermanentFailure(f"the mail address is longer than {LONGEST_ADDRESS} characters")
    return bare


def _ascii_domain(domain: str) -> str:
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return ""

"""Where mails are handed over, as MAILER_DSN says it; and addresses as SMTP takes them."""

from __future__ import annotations

import pytest

from libs.common.errors import MisconfiguredError
from libs.integrations.smtp import MailerDsn, ascii_address


def test_an_address_has_its_domain_in_ascii() -> None:
    assert ascii_address("Léa <lea@exämple.fr>") == "lea@xn--exmple-cua.fr"


def test_a_dsn_is_read_as_symfony_wrote_it() -> None:
    dsn = MailerDsn.parse("smtp://user%40x.fr:p%40ss@smtp-relay.brevo.com:587")
    assert (dsn.user, dsn.password, dsn.port, dsn.tls) == ("user@x.fr", "p@ss", 587, False)
    assert dsn.start_tls is True, "a password goes out encrypted or not at all"
    assert "p@ss" not in repr(dsn) + str(dsn)
    assert MailerDsn.parse("smtps://mail.example").port == 465
    assert MailerDsn.parse("smtp://localhost:1025").start_tls is None
    assert MailerDsn.parse("smtp://localhost?auto_tls=false").start_tls is False


@pytest.mark.parametrize(
    "dsn",
    ["", "null://null", "smtp://", "smtp://h:99999", "smtp://h?verify=0", "smtp://h?verify_peer=perhaps"],
)
def test_a_wrong_dsn_is_refused_without_being_quoted(dsn: str) -> None:
    with pytest.raises(MisconfiguredError) as refused:
        MailerDsn.parse(dsn.replace("//h", "//u:secret@h"))
    assert "secret" not in str(refused.value)

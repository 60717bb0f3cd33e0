"""What a company's data must look like, and when two registrations are the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.events import provisional_company_id
from services.admin_api import domain
from services.admin_api.domain import InvalidError, Registration

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
REGISTRATION = Registration(
    name="Boulangerie Martin",
    email="contact@martin.example",
    phone="+33612345678",
    stripe_customer_id="cus_1",
    legacy_enterprise_id=9976,
    registered_at=None,
    company_id=UUID(int=7),
)


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        ("contact@martin.example\r\n", "contact@martin.example"),
        (" contact@Martin.Example ", "contact@martin.example"),
        ("Jean.Dupont+pro@sous.domaine.fr", "Jean.Dupont+pro@sous.domaine.fr"),
        ("a@café.fr", "a@café.fr"),
    ],
)
def test_an_address_is_kept_without_blanks_and_with_a_lower_case_domain(given_: str, kept: str) -> None:
    assert domain.clean_email(given_) == kept


@pytest.mark.parametrize(
    "text",
    [
        "", "contact", "contact@", "@martin.fr", "a@b", "a@b..fr", "a@-b.fr", "a b@c.fr", "a@c.fr,b@c.fr",
        "a@c.fr\nBcc: b@c.fr", "Jean <a@c.fr>", ".a@c.fr", "a.@c.fr", "a..b@c.fr",
        "é@c.fr", "a@c.fr\x00", "a" * 65 + "@c.fr", "a@" + "b" * 64 + ".fr", "a@" + "b." * 130 + "fr",
    ],
)  # fmt: skip
def test_an_address_that_no_mail_server_takes_is_refused(text: str) -> None:
    with pytest.raises(InvalidError) as refused:
        domain.clean_email(text)
    assert refused.value.code == "email_invalid"


@given(st.text(max_size=40))
def test_no_accepted_address_can_break_out_of_a_header(text: str) -> None:
    try:
        email = domain.clean_email(text)
    except InvalidError:
        return
    assert not set(email) & set('\r\n\x00 ,;<>"')
    assert email.count("@") == 1


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("06 12 34 56 78", "+33612345678"),
        ("0612345678", "+33612345678"),
        ("+33 (0)6.12.34.56.78", "+33612345678"),
        ("0033 6 12 34 56 78", "+33612345678"),
        ("+352 621 123 456", "+352621123456"),
    ],
)
def test_a_phone_number_is_kept_in_international_form(text: str, kept: str) -> None:
    assert domain.clean_phone(text) == kept


@pytest.mark.parametrize(
    "text", ["", "12", "06 12 34 56", "06 12 34 56 78 90 12 34 56", "abc", "+0612345678", "٠٦١٢٣٤٥٦٧٨"]
)
def test_what_is_no_phone_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidError):
        domain.clean_phone(text)


@given(st.text(max_size=300))
def test_a_kept_name_is_printable_and_cleaning_it_again_changes_nothing(text: str) -> None:
    try:
        name = domain.clean_name(text)
    except InvalidError:
        return
    assert name == domain.clean_name(name)
    assert "\x00" not in name
    assert 0 < len(name) <= domain.LONGEST_NAME


@pytest.mark.parametrize(
    "moment", [NOW + timedelta(hours=1), datetime(1969, 12, 31, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)]
)
def test_a_registration_cannot_be_tomorrow_nor_before_telephones_had_computers(moment: datetime) -> None:
    with pytest.raises(InvalidError):
        domain.register(replace(REGISTRATION, registered_at=moment), UUID(int=7), NOW)


def test_a_registration_without_a_date_is_of_now() -> None:
    assert domain.register(REGISTRATION, UUID(int=7), NOW).registered_at == NOW


def test_a_repeated_registration_without_a_date_is_the_same() -> None:
    known = domain.register(REGISTRATION, UUID(int=7), NOW)
    assert domain.differences(known, REGISTRATION) == []
    assert domain.differences(known, replace(REGISTRATION, registered_at=NOW)) == []


def test_every_field_that_differs_is_named() -> None:
    known = domain.register(REGISTRATION, UUID(int=7), NOW)
    other = replace(REGISTRATION, name="Autre", phone=None, registered_at=NOW - timedelta(days=1))
    assert domain.differences(known, other) == ["name", "phone", "registered_at"]


def test_facts_of_a_company_may_stand_under_the_provisional_one_of_its_stripe_customer() -> None:
    assert domain.ids_in_facts(UUID(int=7), None) == [UUID(int=7)]
    assert domain.ids_in_facts(UUID(int=7), "cus_1") == [UUID(int=7), provisional_company_id("cus_1")]

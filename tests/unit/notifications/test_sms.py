"""What an SMS is in parts, which letter is to blame, and the same text in letters that cost less."""

from __future__ import annotations

from decimal import Decimal

import pytest
from gsm0338 import Codec
from hypothesis import example, given
from hypothesis import strategies as st

from libs.common.errors import MisconfiguredError, PermanentFailure
from libs.common.settings import load
from services.notifications import sms
from services.notifications.domain import Why
from services.notifications.domain.numbers import NumberList, is_test_number, mobile_of
from services.notifications.settings import NotificationsSettings
from services.notifications.sms import Encoding, measure, transliterate
from services.notifications.sms.encoding import ALONE, JOINED

GSM7 = (
    "".join(c for c in map(chr, range(0x250)) if c != "\x1b" and measure(c).encoding is Encoding.GSM7)
    + "€ΔΦΓΛΩΠΨΣΘΞ"
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)


@pytest.mark.parametrize(
    "letters", ["éèàùìòÇÉÄÖÑÜäöñüßÆæØøÅå@£$¥¤¡¿§ΔΦΓΛΩΠΨΣΘΞ\n\r _", "0123456789+-*/%&=<>?!\"#'(),.:;"]
)
def test_letters_of_gsm_7(letters: str) -> None:
    assert measure(letters).encoding is Encoding.GSM7
    assert measure(letters).units == len(letters)


@pytest.mark.parametrize("letter", "^{}\\[~]|€")
def test_letters_of_the_extension_cost_two(letter: str) -> None:
    assert (measure(letter).encoding, measure(letter).units) == (Encoding.GSM7, 2)


@pytest.mark.parametrize("letter", "êâîôûëïçœÀÈÊ’‘“”«»–—…\u00a0\u202f`ÿ²°")
def test_french_traps(letter: str) -> None:
    measured = measure("a" * 100 + letter)
    assert (measured.encoding, measured.parts) == (Encoding.UCS2, 2)
    [offender] = measured.offenders
    assert (offender.letter, offender.positions) == (letter, (100,))
    assert offender.name


@pytest.mark.parametrize(
    ("text", "parts", "left"),
    [
        ("", 1, 160),
        ("a" * 160, 1, 0),
        ("a" * 161, 2, 153 * 2 - 161),
        ("a" * 306, 2, 0),
        ("a" * 307, 3, 152),
        ("€" * 80, 1, 0),
        ("ê" * 70, 1, 0),
        ("ê" * 71, 2, 63),
        ("🎉" * 35, 1, 0),
        # A letter of two is never cut: a unit of the first part stays empty.
        ("a" * 152 + "€" + "a" * 152, 3, 153 - 1),
        ("ê" * 66 + "🎉" + "ê" * 65, 2, 0),
        ("ê" * 66 + "🎉" + "ê" * 66, 3, 66),
    ],
)
def test_parts(text: str, parts: int, left: int) -> None:
    measured = measure(text)
    assert (measured.parts, measured.left) == (parts, left)


def test_what_the_provider_adds_counts() -> None:
    assert measure("a" * 150, appended=10).parts == 1
    assert measure("a" * 150, appended=11).parts == 2


def test_each_offender_is_named_once_with_all_its_places() -> None:
    first, second = measure("ça, ça… et").offenders
    assert (first.letter, first.name, first.positions) == ("ç", "LATIN SMALL LETTER C WITH CEDILLA", (0, 4))
    assert (second.letter, second.positions) == ("…", (6,))


def test_the_price_is_that_of_its_parts() -> None:
    assert measure("a" * 161).price_cents(Decimal("4.9")) == Decimal("9.8")


@given(TEXTS)
def test_a_measure_holds_together(text: str) -> None:
    measured = measure(text)
    joined, alone = JOINED[measured.encoding], ALONE[measured.encoding]
    if measured.parts == 1:
        assert measured.units + measured.left == alone
    else:
        assert measured.units > alone
        # What stays empty is at most a unit at the end of each part but the last.
        empty = joined * measured.parts - measured.left - measured.units
        assert 0 <= empty < measured.parts
    if measured.encoding is Encoding.GSM7:
        assert measured.units == len(Codec().encode(text)[0])
        assert Codec().decode(Codec().encode(text)[0])[0] == text
    else:
        assert measured.units == len(text.encode("utf-16-be")) // 2
    named = {place: each.letter for each in measured.offenders for place in each.positions}
    assert all(text[place] == letter for place, letter in named.items())
    rest = "".join(letter for place, letter in enumerate(text) if place not in named)
    assert measure(rest).encoding is Encoding.GSM7


@given(TEXTS)
@example("« L’œuvre » à l’Élysée… 12\u202f345,00\u00a0€")
@example("e\u0301")
def test_a_transliteration_is_all_gsm_7_and_stays_as_it_is(text: str) -> None:
    written = transliterate(text)
    assert measure(written).encoding is Encoding.GSM7
    assert transliterate(written) == written


@given(st.text(st.sampled_from(GSM7), max_size=200))
def test_what_is_gsm_7_is_left_alone(text: str) -> None:
    assert transliterate(text) == text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("« L’œuvre » à l’Élysée… 12\u202f345,00\u00a0€", "\"L'oeuvre\" à l'Élysée... 12 345,00 €"),
        ("Ça a été réglé, François ? À bientôt", "Ça a été réglé, Francois ? A bientot"),
        ("Forêt – maïs — Noël", "Foret - mais - Noel"),
    ],
)
def test_french_reads_on(text: str, written: str) -> None:
    assert transliterate(text) == written


CONTEXT = {"total_due_cents": 12990, "currency": "eur", "login_url": "https://app.districall.com/login"}


@pytest.mark.parametrize("kind", ["line_restricted", "line_cut", "line_restored"])
def test_the_sms_about_lines_are_one_part(kind: str) -> None:
    built = sms.build_sms(kind, CONTEXT, is_transliterated=True)
    assert (built.measure.encoding, built.measure.parts) == (Encoding.GSM7, 1), built
    if kind != "line_restored":
        assert "15, 17, 18, 112" in built.text
        assert "129,90 €" in built.text


def test_emergency_numbers_are_named_where_they_cost_no_part() -> None:
    long = {**CONTEXT, "login_url": "https://un-domaine-vraiment-tres-long.exemple.fr/espace/connexion"}
    built = sms.build_sms("line_cut", long, is_transliterated=True)
    assert built.measure.parts == 1
    assert "112" not in built.text


def test_without_transliteration_the_letters_stay() -> None:
    built = sms.build_sms("line_cut", CONTEXT, is_transliterated=False)
    assert built.measure.encoding is Encoding.UCS2
    assert {each.letter for each in built.measure.offenders} == {"\u00a0"}


@pytest.mark.parametrize(("kind", "context"), [("line_cut", {}), ("unpaid", CONTEXT), ("nothing", CONTEXT)])
def test_what_cannot_be_written_is_refused(kind: str, context: dict[str, object]) -> None:
    with pytest.raises(PermanentFailure):
        sms.build_sms(kind, context, is_transliterated=True)


def test_an_sms_that_should_be_a_mail_is_refused() -> None:
    with pytest.raises(PermanentFailure, match="parts"):
        sms.build_sms("line_cut", {**CONTEXT, "login_url": "x" * 1000}, is_transliterated=True)


@pytest.mark.parametrize(
    ("typed", "number", "why"),
    [
        ("06 12 34 56 78", "+33612345678", None),
        ("+33 (0)6 12 34 56 78", "+33612345678", None),
        ("0033 7.56.78.90.12", "+33756789012", None),
        ("+32 470 12 34 56", "+32470123456", None),
        ("+262 692 12 34 56", "+262692123456", None),
        ("06 39 98 12 34", "+33639981234", None),
        ("01 42 68 53 00", "+33142685300", Why.NO_MOBILE),
        ("09 70 00 00 00", "+33970000000", Why.NO_MOBILE),
        ("08 92 70 12 39", "+33892701239", Why.NO_MOBILE),
        ("06 12 34 56 7", "06 12 34 56 7", Why.NOT_A_NUMBER),
        ("demander Paul", "demander Paul", Why.NOT_A_NUMBER),
        ("112", "112", Why.NOT_A_NUMBER),
        ("+33612345678" * 40, "+33612345678" * 40, Why.NOT_A_NUMBER),
        ("  ", "", Why.NO_ADDRESS),
        (None, "", Why.NO_ADDRESS),
    ],
)
def test_numbers_as_people_type_them(typed: str | None, number: str, why: Why | None) -> None:
    assert mobile_of(typed) == (number, why)


@given(st.text(max_size=40))
def test_no_number_makes_it_stumble(text: str) -> None:
    number, why = mobile_of(text)
    assert why is not None or mobile_of(number) == (number, None)


MOBILE, FICTION = "+33612345678", "+33639981234"


@pytest.mark.parametrize(
    ("numbers", "mobile", "fiction"),
    [
        (NumberList(is_production=True), None, Why.TEST_NUMBER),
        (NumberList(is_stand_in=True), None, None),
        (NumberList(), Why.NOT_ALLOWED_OUTSIDE_PROD, Why.NOT_ALLOWED_OUTSIDE_PROD),
        (NumberList(entries=frozenset({MOBILE})), None, Why.NOT_ALLOWED_OUTSIDE_PROD),
        (NumberList(is_production=True, is_on=False), Why.CHANNEL_OFF, Why.CHANNEL_OFF),
    ],
)
def test_who_may_be_sent_an_sms(numbers: NumberList, mobile: Why | None, fiction: Why | None) -> None:
    assert (numbers.refusal(MOBILE), numbers.refusal(FICTION)) == (mobile, fiction)
    assert numbers.refusal("01 42 68 53 00") is Why.NO_MOBILE
    assert is_test_number(FICTION)


def settings(**changes: object) -> NotificationsSettings:
    values: dict[str, object] = {
        "app_env": "test",
        "app_secret": "a-secret-that-is-long-enough",
        "kafka_bootstrap_servers": "localhost:9092",
        "mailer_dsn": "smtp://localhost:25",
        "mail_sender": "Relance <relance@relance.test>",
        "login_url": "https://app.relance.test/login",
        **changes,
    }
    return load(NotificationsSettings, **values)


@pytest.mark.parametrize("sender", ["", " ", "Districall SAS", "Relancé", "Rel@nce", "Relance\x00"])
def test_a_sender_that_phones_cannot_show_is_refused_on_load(sender: str) -> None:
    with pytest.raises(MisconfiguredError, match="SMS_SENDER"):
        settings(sms_sender=sender)


def test_an_allow_list_of_what_is_no_mobile_is_refused_on_load() -> None:
    with pytest.raises(MisconfiguredError, match="01 42 68 53 00"):
        settings(sms_allow_list="06 12 34 56 78, 01 42 68 53 00")
    assert settings(sms_allow_list="06 12 34 56 78, ").number_list.entries == {MOBILE}


@pytest.mark.parametrize(
    ("changes", "is_stand_in", "is_on"),
    [
        ({}, False, False),
        ({"sms_mode_key": "a key"}, False, True),
        ({"sms_mode_key": "a key", "smsmode_api_base": "http://127.0.0.1:8021"}, True, True),
        ({"sms_mode_key": "a key", "smsmode_api_base": "http://127.0.0.1.example.com"}, False, True),
    ],
)
def test_only_this_machine_is_a_stand_in(
    changes: dict[str, object], *, is_stand_in: bool, is_on: bool
) -> None:
    numbers = settings(**changes).number_list
    assert (numbers.is_stand_in, numbers.is_on, numbers.is_production) == (is_stand_in, is_on, False)


def test_callbacks_are_asked_for_only_where_they_can_come_in() -> None:
    public, token = "https://notifications.example.fr/", "a-token-that-is-long-enough"
    assert settings(notifications_public_url=public).smsmode_callback_url is None
    assert settings(smsmode_webhook_token=token).smsmode_callback_url is None
    url = settings(notifications_public_url=public, smsmode_webhook_token=token).smsmode_callback_url
    assert url == f"https://notifications.example.fr/webhooks/smsmode/{token}"

"""The storm's model against lives worked out by hand."""

from __future__ import annotations

from tests.faults.model import Deserved, Ending, Fact, Method, Rules, Try, deserved

RULES = Rules(stop=frozenset({"lost_card"}), rest=frozenset({"previously_declined_do_not_retry"}))
PAYS = Ending("pays")
POOR = Ending("declines", "insufficient_funds")
LOST = Ending("declines", "lost_card")
ASKS = Ending("needs_customer")
DEBIT_FAILS = Ending("debit_fails", "insufficient_funds")
DEBIT_PAYS = Ending("debit_pays")


def life(*endings: Ending | tuple[Ending, Ending]) -> Deserved:
    pairs = [ending if isinstance(ending, tuple) else (ending, ending) for ending in endings]
    return deserved([Method(f"card {n}", pair) for n, pair in enumerate(pairs)], RULES)


def told(owes: Deserved) -> list[str]:
    return sorted(f"{fact.type} {fact.cycle or ''}".strip() for fact in owes.facts.elements())


def ours(owes: Deserved, cycle: int) -> set[int]:
    return {attempt.method for attempt in owes.tries if attempt.is_ours and attempt.cycle == cycle}


def test_who_pays_at_once_gets_a_receipt_and_nothing_else() -> None:
    owes = life(PAYS, POOR)
    assert owes.tries == {Try(1, 0, is_ours=False): 1}
    assert told(owes) == ["invoice_paid"]
    assert owes.mails == {"payment_receipt": 1}


def test_all_declines_are_told_each_cycle_and_written_about_once() -> None:
    owes = life(POOR, POOR, POOR)
    assert ours(owes, 1) == ours(owes, 2) == {1, 2}
    assert told(owes) == ["invoice_unpaid 1", "invoice_unpaid 2"]
    assert owes.mails == {"unpaid": 1}
    assert set(owes.tries.values()) == {1}


def test_a_later_card_recovers_and_the_older_ones_are_left_alone() -> None:
    owes = life(POOR, POOR, PAYS, ASKS)
    assert ours(owes, 1) == {3, 2}
    assert Fact("payment_recovered", 1, (2, (0, 3))) in owes.facts
    assert owes.mails == {"payment_recovered": 1}
    assert owes.is_paid


def test_a_debit_that_fails_two_days_later_hands_on_to_the_next_method() -> None:
    owes = life(POOR, POOR, DEBIT_FAILS)
    assert ours(owes, 1) == {2, 1}
    assert told(owes) == ["invoice_unpaid 1", "invoice_unpaid 2"]


def test_a_debit_that_pays_two_days_later_recovers() -> None:
    owes = life(POOR, POOR, DEBIT_PAYS)
    assert ours(owes, 1) == {2}
    assert owes.mails == {"payment_recovered": 1}


def test_whom_only_his_bank_can_help_is_asked_in_place_of_the_notice() -> None:
    assert life(POOR, ASKS).mails == {"payment_action_required": 2}
    assert life(ASKS).mails == {"payment_action_required": 2}


def test_a_lost_card_is_not_tried_again_and_stripe_charges_no_more_after_it() -> None:
    owes = life(POOR, LOST, POOR)
    # The lost one came last: Stripe does not charge the default one again, so that it is ours to try.
    assert Try(2, 0, is_ours=False) not in owes.tries
    assert ours(owes, 1) == {2, 1}
    assert ours(owes, 2) == {0, 2}


def test_the_same_card_saved_twice_is_one_try() -> None:
    poor = (POOR, POOR)
    owes = deserved([Method("a", poor), Method("b", poor), Method("b", poor), Method("a", poor)], RULES)
    assert ours(owes, 1) == {2}
    said = ((0, "just_failed"), (1, "same_card"), (2, "declined"), (3, "just_failed"))
    unpaid = Fact("invoice_unpaid", 1, said)
    assert unpaid in owes.facts


def test_money_that_comes_with_stripes_second_attempt_closes_what_was_told() -> None:
    owes = life((POOR, PAYS), POOR)
    assert told(owes) == ["invoice_closed", "invoice_paid", "invoice_unpaid 1"]
    assert owes.mails == {"unpaid": 1, "payment_receipt": 1}

"""Cards, tokens and the simulator's list of cards: nothing here needs a server."""

import pickle
import re
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from oms_gateway import Card, CardRefused, Tokeniser, provider
from oms_simulators.payment.gateway import SimulatedTokeniser
from oms_simulators.payment.testcards import TEST_CARDS, Outcome

CVV = "98765"
SIMULATOR: Tokeniser = SimulatedTokeniser()


def card(number: str, cvv: str = "737") -> Card:
    return Card(number=SecretStr(number), cvv=SecretStr(cvv), expiry="12/34")


def test_a_card_shows_neither_its_number_nor_its_cvv() -> None:
    shown = repr(card("4242424242424242")) + str(card("4242424242424242"))
    assert "42" not in shown
    assert "737" not in shown


@pytest.mark.parametrize("number", TEST_CARDS)
def test_every_test_card_gets_a_token_that_holds_nothing_of_its_number(number: str) -> None:
    token = SIMULATOR.tokenise(card(number))
    assert token.last4 == number[-4:]
    assert token.expiry == "12/34"
    assert token.brand == TEST_CARDS[number].brand
    assert not re.search(r"\d", token.token)


def test_every_token_is_another_one() -> None:
    assert len({SIMULATOR.tokenise(card("1234")).token for _ in range(100)}) == 100


@pytest.mark.parametrize("typed", ["4242 4242 4242 4242", "4242-4242-4242-4242", " 4242424242424242 "])
def test_spaces_and_dashes_in_a_number_do_no_harm(typed: str) -> None:
    assert SIMULATOR.tokenise(card(typed)).last4 == "4242"


@given(number=st.text(alphabet="0123456789 -", max_size=24))
def test_every_other_number_is_refused(number: str) -> None:
    if re.sub("[ -]", "", number) in TEST_CARDS:
        return
    with pytest.raises(CardRefused) as refused:
        SIMULATOR.tokenise(card(number))
    assert refused.value.field == "number"


@pytest.mark.parametrize("number", ["4242424242424241", "4111111111111111", "0000"])
def test_a_refusal_repeats_nothing_of_the_card(number: str) -> None:
    typed = card(number, cvv=CVV)
    with pytest.raises(CardRefused) as refused:
        SIMULATOR.tokenise(typed)
    shown = "".join(traceback.format_exception(refused.value)) + repr(vars(refused.value))
    assert number not in shown
    assert CVV not in shown


def test_the_frames_of_a_refusal_hold_no_number_in_the_clear() -> None:
    """Error reports that print local variables must have nothing to print."""
    with pytest.raises(CardRefused) as refused:
        SIMULATOR.tokenise(card("5105105105105106"))
    frames = [frame for frame, _ in traceback.walk_tb(refused.value.__traceback__)][1:]
    assert frames
    assert not [name for frame in frames for name, value in frame.f_locals.items() if "5105105105105106" in repr(value)]


@pytest.mark.parametrize(
    ("number", "outcome"),
    [
        ("1234", "approved"),
        ("4242424242424242", "approved"),
        ("5555555555554444", "approved"),
        ("378282246310005", "approved"),
        ("4000000000000002", "card_declined"),
        ("4000000000009995", "insufficient_funds"),
        ("4000000000009987", "lost_card"),
        ("4000000000009979", "stolen_card"),
        ("4000000000000069", "expired_card"),
        ("4000000000000127", "incorrect_cvc"),
        ("4000000000000119", "processing_error"),
    ],
)
def test_the_cards_do_what_is_documented_of_them(number: str, outcome: str) -> None:
    assert TEST_CARDS[number].outcome == outcome


def test_every_outcome_has_a_card() -> None:
    assert {test_card.outcome for test_card in TEST_CARDS.values()} == set(Outcome)


def test_a_tokeniser_of_an_unknown_name_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ValueError, match="simulator"):
        provider("strype")


def test_a_pickled_refusal_comes_back_whole() -> None:
    """Test runners and process pools send errors across processes."""
    refusal = pickle.loads(pickle.dumps(CardRefused("number", "is no test card")))  # noqa: S301 - made on this line
    assert (refusal.field, refusal.message) == ("number", "is no test card")

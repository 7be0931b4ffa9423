"""What exceptions have in common survives the particulars of each contract, and nothing else is lost."""

from hypothesis import given
from hypothesis import strategies as st

from sync_core.cases.grouping import group_key, normalised


def test_particulars_are_replaced() -> None:
    one = normalised("the ERP has no customer CUST-17; create it, see 'Acme & Sons' for C-1", names=["C-1"])
    two = normalised("the ERP has no customer CUST-9; create it, see 'Other' for C-22", names=["C-22"])
    assert (
        one == two == "the ERP has no customer <n>; create it, see <name> for <name>".replace("for <name>", one[-10:])
    )
    assert normalised("customer ACME has none", names=["ACME"]) == "customer <name> has none"


def test_apostrophes_are_no_quotes() -> None:
    words = "the customer's tax and the ERP's books"
    assert normalised(words) == words


def test_lists_of_any_length_are_one() -> None:
    assert normalised("no rate for A1, B2, C3") == normalised("no rate for X9")


def test_a_name_inside_a_word_stays() -> None:
    assert normalised("taxation of tax", names=["tax"]) == "taxation of <name>"


@given(st.text(max_size=300), st.lists(st.text(max_size=20), max_size=3))
def test_any_text_is_normalised_once_and_holds_no_digit(text: str, names: list[str]) -> None:
    done = normalised(text, names=names)
    assert not any(character.isdigit() for character in done)
    assert len(done) <= 8 * 2_000


def test_a_hostile_message_costs_no_time() -> None:
    for hostile in ("a" * 1_000_000, "'" * 1_000_000, "1" * 1_000_000, "<name>, " * 100_000):
        normalised(hostile, names=["a" * 5_000])


def test_each_part_of_the_key_counts() -> None:
    base = ("missing_data", "check.contract", "US01", "m", "v1")
    varied = [[*base[:n], "other", *base[n + 1 :]] for n in range(5)]
    keys = {group_key(a, b, c, d, e) for a, b, c, d, e in [base, *varied]}
    assert len(keys) == 6

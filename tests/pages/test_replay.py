"""The replay console: what is stuck, a preview read field by field, a confirmation with its second person, the end."""

from dataclasses import replace
from decimal import Decimal
from typing import NoReturn

import pytest
import sqlalchemy as sa
from streamlit.testing.v1 import AppTest

from sync_core.authority import Actor, person
from sync_core.clock import VirtualClock
from sync_core.estate.estate import Estate, ReplayPolicy
from sync_core.reads import Reads
from tests import rows
from tests.commands import people
from tests.pages.repair import button, ended, press, previewed, refused_before, shown, stop, stuck, tick, told
from tests.pages.stage import play, texts
from tests.reads.handmade import add_case, add_contract

ADA = people.EVERYTHING
STRICT = replace(rows.estate(), replay=ReplayPolicy(second_person_from_count=2))


def console(
    database: sa.Engine, reads: Reads, actor: Actor = ADA, estate: Estate | None = None, **query: str
) -> AppTest:
    return shown("replay", database, reads, actor, query, estate=estate)


def plain(page: AppTest) -> str:
    return texts(page).replace("\\", "").replace("\u2060", "")


def state(database: sa.Engine, replay_id: int) -> str:
    with database.connect() as conn:
        return str(conn.scalar(sa.text("SELECT state FROM core.replay WHERE replay_id = :id"), {"id": replay_id}))


class BrokenReads(Reads):
    def stuck(self, *_: object, **__: object) -> NoReturn:
        raise RuntimeError("the password is in this message")


def test_nothing_stuck_is_good_news(database: sa.Engine, nothing: Reads) -> None:
    assert "Nothing is stuck" in texts(console(database, nothing))
    assert "Nothing was replayed yet" in texts(console(database, nothing, view="history"))


def test_a_read_that_fails_shows_an_incident_and_no_detail(database: sa.Engine) -> None:
    page = console(database, BrokenReads(database, clock=VirtualClock(rows.NOW), estate=rows.estate()))
    said = [error.value for error in page.error]
    assert len(said) == 1
    assert said[0].startswith("The list of stuck contracts could not be drawn. Incident ")


def test_without_the_permission_nothing_is_shown(database: sa.Engine, nothing: Reads) -> None:
    page = play("replay", nothing, actor=person("nobody@example.com", []))
    assert "This needs the permission" in texts(page)
    assert len(page.dataframe) == 0


def test_stuck_contracts_are_ranked_by_money_and_filtered_by_the_url(database: sa.Engine, nothing: Reads) -> None:
    small = add_contract(database, state="blocked", external_id="S")
    add_case(database, small, "po_missing", function="legal", exposure_reporting=Decimal(10))
    large = add_contract(database, state="blocked", external_id="L", legal_entity="GB01")
    add_case(database, large, "tax_code_missing", exposure_reporting=Decimal(900))
    table = console(database, nothing).dataframe[0].value
    assert [link.rpartition("#")[2] for link in table["contract"]] == ["L", "S"]
    assert list(table["why"]) == ["Tax code missing", "PO missing"]
    assert list(table["to_run"]) == ["7.1 d", "7.3 d"]
    assert list(console(database, nothing, entity="GB01").dataframe[0].value.index) == [large]
    assert list(console(database, nothing, function="legal").dataframe[0].value.index) == [small]
    assert "Nothing is stuck for this filter" in texts(console(database, nothing, cause="rate_missing"))


def test_the_chosen_are_previewed_and_their_page_opens(database: sa.Engine, nothing: Reads) -> None:
    stuck(database, 3)
    page = tick(console(database, nothing), "stuck", 0, 2)
    assert "**2 selected, $200**" in plain(page)
    page = press(page, "Preview 2")
    assert told(page).startswith("Replay 1 is being previewed")
    assert page.query_params["replay"] == "1"
    assert "0 of 2 are done" in texts(page)


def test_all_that_match_are_previewed_at_once(database: sa.Engine, nothing: Reads) -> None:
    stuck(database, 3)
    stuck(database, 1, legal_entity="GB01")
    page = press(console(database, nothing, entity="US01"), "Preview all 3 that match")
    assert "3 contracts, made by all@example.com" in plain(page)


def test_what_an_erp_missed_is_asked_for_by_day_and_time(database: sa.Engine, nothing: Reads) -> None:
    stuck(database, 2)
    page = press(console(database, nothing), "Preview what it missed")
    assert "# Replay 1: What cloud missed since 2026-11-22 00:00 UTC" in plain(page)
    assert "2 contracts, made by" in plain(page)


def test_a_preview_is_read_field_by_field(database: sa.Engine, nothing: Reads) -> None:
    replay_id = previewed(people.commands(database), ADA, stuck(database, 2))
    page = console(database, nothing, replay=str(replay_id))
    assert {metric.label: metric.value for metric in page.metric} == {
        "Contracts": "2", "Create": "0", "Update": "2", "Activate": "0", "Money": "$200", "Stopped": "0",
    }  # fmt: skip
    table = page.table[0].value.map(lambda cell: str(cell).replace("\\", ""))
    assert table.values.tolist() == [
        ["Unchanged", "customer", "CU-1", "", "", ""],
        ["Update", "project", "crm/R-1", "value", "$100.00", "$1,000.50"],
    ]


def test_confirming_says_how_much_and_asks_why(database: sa.Engine, nothing: Reads) -> None:
    replay_id = previewed(people.commands(database), ADA, stuck(database, 2))
    page = press(console(database, nothing, replay=str(replay_id)), "Replay 2 contracts…")
    assert "**2 contracts, $200**" in plain(page)
    assert "second person" not in plain(page)
    page = press(page, "Replay 2 contracts")
    assert told(page) == "Choose a reason; for another one say it in your words."
    page.selectbox[-1].select("The data was corrected")
    page.text_input[-1].input("INC-1")
    page = press(page, "Replay 2 contracts")
    assert told(page) == "2 contracts are being replayed."
    assert state(database, replay_id) == "running"
    assert "Confirmed by all@example.com" in plain(page)
    assert "The data was corrected (ticket INC-1)." in plain(page)
    assert "0 of 2 contracts ended" in texts(page)


def test_what_is_stopped_is_a_figure_of_its_own_and_no_part_of_the_money(database: sa.Engine, nothing: Reads) -> None:
    one, two, three = stuck(database, 3)
    replay_id = previewed(people.commands(database), ADA, [one, two, three])
    stop(database, replay_id, two, "the customer has no tax profile")
    refused_before(database, three, "cloud: period 2026-11 is closed")
    page = console(database, nothing, replay=str(replay_id), item=str(two))
    figures = {metric.label: (metric.value, metric.delta) for metric in page.metric}
    assert figures["Stopped"] == ("1", "$100")
    assert (figures["Money"][0], figures["Update"][0]) == ("$200", "2")
    assert "Stopped before any write] the customer has no tax profile" in plain(page)
    assert list(page.dataframe[0].value["state"]) == ["previewed", "stopped", "refused last time"]
    page = press(page, "Replay 2 contracts…")
    assert "**2 contracts, $200**" in plain(page)
    assert "1 contract ($100) cannot be carried out" in plain(page)
    page = console(database, nothing, replay=str(replay_id), item=str(three))
    assert "(ERP rejected): cloud: period 2026-11 is closed. This may happen again." in told(page)


def test_where_the_estate_asks_for_none_a_ticket_is_optional(database: sa.Engine) -> None:
    lax = replace(rows.estate(), replay=ReplayPolicy(ticket_required=False))
    reads = Reads(database, clock=VirtualClock(rows.NOW), estate=lax)
    replay_id = previewed(people.commands(database, estate=lax), ADA, stuck(database, 1))
    page = press(console(database, reads, ADA, lax, replay=str(replay_id)), "Replay 1 contract…")
    assert page.text_input[-1].label == "Ticket (optional)"
    page.selectbox[-1].select("The ERP's outage is over")
    assert told(press(page, "Replay 1 contract")) == "1 contract is being replayed."


def test_only_the_ticked_are_carried_out(database: sa.Engine, nothing: Reads) -> None:
    contracts = stuck(database, 3)
    replay_id = previewed(people.commands(database), ADA, contracts)
    page = tick(console(database, nothing, replay=str(replay_id)), f"items_{replay_id}", 1)
    page = press(page, "Replay 1 contract…")
    assert "2 contracts stay as they are" in texts(page)
    page.selectbox[-1].select("The ERP's outage is over")
    page.text_input[-1].input("INC-1")
    page = press(page, "Replay 1 contract")
    assert told(page) == "1 contract is being replayed. 2 skipped."


def test_a_second_person_is_named_before_and_is_somebody_else(database: sa.Engine) -> None:
    reads = Reads(database, clock=VirtualClock(rows.NOW), estate=STRICT)
    replay_id = previewed(people.commands(database, estate=STRICT), ADA, stuck(database, 2))
    page = press(console(database, reads, ADA, STRICT, replay=str(replay_id)), "Replay 2 contracts…")
    assert "A second person has to approve it first: 2 items are 2 or more" in plain(page)
    page.selectbox[-1].select("The ERP's outage is over")
    page = press(page, "Ask for approval of 2 contracts")
    assert told(page) == "Name the ticket of this change, such as INC-4821."
    page.text_input[-1].input("INC-1")
    page = press(page, "Ask for approval of 2 contracts")
    assert told(page) == "2 contracts wait for a second person: 2 items are 2 or more."
    assert button(page, "Approve…").disabled
    assert "You made or confirmed it yourself" in plain(page)
    page = press(console(database, reads, people.APPROVER, STRICT, replay=str(replay_id)), "Approve…")
    page.text_area[-1].input("seen the preview")
    page = press(page, "Approve")
    assert state(database, replay_id) == "running"
    assert "Approved by approver@example.com" in plain(page)


def test_a_running_one_is_paused_slowed_resumed_and_cancelled(database: sa.Engine, nothing: Reads) -> None:
    commands = people.commands(database)
    replay_id = previewed(commands, ADA, stuck(database, 2))
    commands.replays.confirm(ADA, replay_id, reason="the outage is over", ticket="INC-1")
    page = press(console(database, nothing, replay=str(replay_id)), "Pause")
    assert state(database, replay_id) == "paused"
    page.number_input[0].set_value(7).run()
    page = press(page, "Set rate")
    assert told(page) == "7 contracts a minute from now on."
    page = press(page, "Resume")
    assert state(database, replay_id) == "running"
    page = press(page, "Cancel…")
    assert "**2 contracts** that have not begun stay as they are" in texts(page)
    page.text_area[-1].input("wrong contracts")
    page = press(page, f"Cancel replay {replay_id}")
    assert state(database, replay_id) == "cancelled"
    assert "Cancelled by all@example.com" in plain(page)


def test_the_states_of_its_contracts_add_up_and_some_are_offered_again(database: sa.Engine, nothing: Reads) -> None:
    commands = people.commands(database)
    replay_id = previewed(commands, ADA, stuck(database, 4))
    commands.replays.confirm(ADA, replay_id, reason="the outage is over", ticket="INC-1")
    ended(database, replay_id, verified=2, failed=1, mismatch=1)
    page = console(database, nothing, replay=str(replay_id))
    bar = next(one for one in page.get("html") if "tl-bar" in one.proto.body)
    assert "2 verified, 1 mismatch, 1 failed" in bar.proto.body
    assert "4 of 4 contracts ended" in texts(page)
    assert list(page.dataframe[0].value["state"]) == ["failed", "mismatch", "verified", "verified"]
    failed = console(database, nothing, replay=str(replay_id), ends="failed")
    assert list(failed.dataframe[0].value["state"]) == ["failed"]
    again = press(page, "Offer again 2")
    assert again.query_params["replay"] == str(replay_id + 1)
    assert f"Offered again from replay {replay_id}" in [one.label for one in again.button]


def test_what_is_under_way_stands_above_the_list(database: sa.Engine, nothing: Reads) -> None:
    replay_id = previewed(people.commands(database), ADA, stuck(database, 1))
    page = console(database, nothing)
    assert f"Replay {replay_id}: After the outage" in [one.label for one in page.button]
    page = console(database, nothing, view="history")
    assert list(page.dataframe[0].value["title"]) == ["After the outage"]


@pytest.mark.parametrize("asked", ["0", "77", "x", "1;2"])
def test_a_link_to_no_replay_gets_a_friendly_answer(asked: str, database: sa.Engine, nothing: Reads) -> None:
    assert "There is no replay by this link" in texts(console(database, nothing, replay=asked))


def test_an_executive_and_another_entity_can_press_nothing(database: sa.Engine, nothing: Reads) -> None:
    commands = people.commands(database)
    replay_id = previewed(commands, ADA, stuck(database, 2))
    page = console(database, nothing, people.EXECUTIVE)
    assert {one.label for one in page.button} == {f"Replay {replay_id}: After the outage", "Previous", "Next"}
    page = console(database, nothing, people.EXECUTIVE, replay=str(replay_id))
    assert {one.label for one in page.button} == {"Back to the list", "Previous", "Next"}
    assert "An operator may confirm, pause and cancel it" in texts(page)
    british = person("uk@example.com", ["operator@GB01"])
    assert "There is no replay by this link" in texts(console(database, nothing, british, replay=str(replay_id)))


def test_who_sees_a_part_of_a_replay_reads_no_total_of_all_of_it(database: sa.Engine) -> None:
    strict = replace(rows.estate(), replay=ReplayPolicy(second_person_from_money=Decimal(250)))
    commands = people.commands(database, estate=strict)
    contracts = [*stuck(database, 2), *stuck(database, 1, legal_entity="GB01")]
    replay_id = previewed(commands, ADA, contracts)
    commands.replays.confirm(ADA, replay_id, reason="the outage is over", ticket="INC-1")
    reads = Reads(database, clock=VirtualClock(rows.NOW), estate=strict)
    for path, query in (("replay", {"replay": str(replay_id)}), ("approvals", {})):
        for actor, sees in ((people.EVERYTHING, True), (person("uk@example.com", ["executive@GB01"]), False)):
            said = plain(shown(path, database, reads, actor, query, estate=strict))
            assert ("300.00 USD is 250.00 USD or more" in said) is sees
            assert ("$300" in said) is sees
            assert ("3 contracts" in said) is sees
            assert ("he whole of it is above a threshold of the estate." in said) is not sees


def test_words_about_a_state_that_is_over_are_not_shown_beside_the_next(database: sa.Engine, nothing: Reads) -> None:
    [contract] = stuck(database, 1)
    page = tick(console(database, nothing), "stuck", 0)
    replay_id = previewed(people.commands(database), ADA, [contract])
    page.session_state["tieline.said"] = (f"Replay {replay_id} is being previewed.", True, "previewing")
    page.query_params["replay"] = str(replay_id)
    page.run()
    assert button(page, "Replay 1 contract…")
    assert told(page) == ""

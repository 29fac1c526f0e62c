from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.cli.terminal import SMALL

if TYPE_CHECKING:
    from tests.cli.terminal import Terminal


def test_a_generation_that_one_process_started_on_the_sandbox_another_collects(bare: Terminal) -> None:
    started = bare.run("generate", "a fox", "--model", "flux-schnell", *SMALL, "--no-wait", "--sandbox")
    assert started.code == 0
    collected = bare.run("wait", started.out.strip(), "--sandbox")
    assert collected.code == 0
    assert (bare.folder / collected.out.strip()).is_file()


def test_credits_of_the_sandbox_are_remembered_between_commands(bare: Terminal) -> None:
    assert bare.type("account", "--sandbox", "--json").document["credits"] == 1000
    bare.type("generate", "a fox", "--count", "2", "--no-wait", "--sandbox")
    assert bare.type("account", "--sandbox", "--json").document["credits"] == 998


def test_what_was_made_on_the_sandbox_is_marked_so_in_the_list(bare: Terminal) -> None:
    bare.type("generate", "a fox", "--no-wait", "--sandbox")
    (entry,) = bare.type("list", "--json").document["generations"]
    assert (entry["service"], entry["door"]) == ("sandbox", "terminal")


def test_the_words_about_collecting_later_name_the_sandbox(bare: Terminal) -> None:
    ended = bare.type("generate", "a fox [sandbox: stuck]", "--timeout", "0.1", "--sandbox")
    assert ended.code == 4
    assert "--sandbox" in ended.err


def test_a_key_in_the_environment_never_reaches_the_sandbox(bare: Terminal) -> None:
    keyed = type(bare)(bare.folder, {"APIFRAME_API_KEY": "sk-real"})
    assert keyed.type("account", "--sandbox").code == 0


LOST = ("generate", "a fox [sandbox: submit:lost-after]", *SMALL, "--sandbox")


def test_the_words_about_a_lost_answer_name_the_sandbox_wherever_they_name_a_command(bare: Terminal) -> None:
    ended = bare.type(*LOST, "--seed", "7", "--json")
    (id_,) = ended.document["error"]["ids"]
    told = [
        ended,
        bare.type(*LOST, "--seed", "7"),
        bare.type("status", id_, "--sandbox"),
        bare.type("resume", "--sandbox"),
        bare.type("wait", id_, "--sandbox"),
    ]
    assert all("It is on the sandbox: add --sandbox to th" in each.err for each in told)
    assert all("APIFRAME account" not in each.err + each.out for each in told)
    bare.type("retry", id_, "--yes", "--sandbox")  # it is lost again, by its prompt
    assert "add --sandbox to th" in bare.type("retry", id_, "--fresh", "--sandbox").err


def test_what_was_lost_from_the_store_of_the_sandbox_is_not_said_to_have_been_asked_for(
    bare: Terminal, terminal: Terminal
) -> None:
    made = bare.type("generate", "a fox", *SMALL, "--sandbox", "--json").document
    Path(made["original"]).unlink()
    ended = terminal.type("wait", made["id"])
    assert ended.code == 1
    assert "Its service was not asked for it" in ended.err
    assert "Ask again with --sandbox. Nothing was paid now. If you have a copy" in ended.err
    assert f"`flux-nodes wait {made['id']} --sandbox` tries again" in ended.err
    assert "It was asked for once more" not in ended.err
    assert bare.type("wait", made["id"], "--sandbox").code == 0


def test_what_is_of_the_service_is_to_be_asked_for_without_the_sandbox(bare: Terminal, terminal: Terminal) -> None:
    made = terminal.type("generate", "a fox [sandbox: stuck]", *SMALL, "--no-wait", "--json").document
    ended = bare.type("wait", made["id"], "--sandbox")
    assert ended.code == 2
    assert "Ask again without --sandbox" in ended.err

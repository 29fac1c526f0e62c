from __future__ import annotations

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

"""Long lists of prompts in a genuine ComfyUI: all of them are sent, however many there are."""

from __future__ import annotations

from collections import Counter
from time import monotonic
from typing import TYPE_CHECKING

from tests.hosts.running import BOUND, Clock, imagine, node, saved, until, words_of

if TYPE_CHECKING:
    from flux_nodes.sandbox import Sandbox
    from tests.hosts.comfyui import Comfyui

MANY = 400


def accepted(service: Sandbox) -> Counter[str]:
    """How often the service has accepted each prompt."""
    return Counter(task.prompt for task in service.tasks)


def test_a_list_that_has_ended_is_told_whole_and_at_a_hundred_percent(host: Comfyui) -> None:
    prompts = node("FluxPromptList", prompts="\n".join(f"gull number {at}" for at in range(30)))
    outcome = host.submit({"0": prompts, "1": imagine(["0", 0]), "2": saved("1")})
    assert outcome.ended == "success", outcome.error
    assert "30 images" in words_of(outcome)[-1]
    states = [event.data["nodes"].get("1", {}) for event in outcome.events if event.kind == "progress_state"]
    assert any(state.get("max") == state.get("value") == 100 for state in states)


def test_all_of_a_long_list_is_sent_and_what_stands_under_the_node_is_drawn_twice_a_second_at_most(
    host: Comfyui, clock: Clock, service: Sandbox
) -> None:
    prompts = {f"kite number {at} over the dunes" for at in range(MANY)}
    with host.connect() as conversation, clock.held():
        begun = monotonic()
        several = node("FluxPromptList", prompts="\n".join(prompts))
        id_ = conversation.queue({"0": several, "1": imagine(["0", 0]), "2": saved("1")})
        until(lambda: prompts <= accepted(service).keys())
        host.interrupt()
        outcome = conversation.wait(id_, within=BOUND)
        took = monotonic() - begun
    assert outcome.ended == "interrupted"
    assert all(accepted(service)[each] == 1 for each in prompts)
    drawn = words_of(outcome)
    assert 1 <= len(drawn) <= 2 * took + 5, "a few are the last ones"

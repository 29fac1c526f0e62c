"""Nodes beside each other in a genuine ComfyUI: what becomes of the rest when one fails, or when all are stopped."""

from __future__ import annotations

import re
from itertools import chain
from time import monotonic
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from flux_nodes.sandbox import Fault, Sandbox
from tests.hosts.conversation import Event
from tests.hosts.running import BOUND, Clock, imagine, listed, node, saved, submitted, until, words_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeGuard

    from tests.delay import Delay
    from tests.hosts.comfyui import Comfyui
    from tests.hosts.conversation import Conversation, Outcome, Preview


def when_stopped(
    conversation: Conversation, outcome: Outcome, *nodes: str
) -> tuple[list[str], list[Mapping[str, Any]]]:
    """What nodes say of being stopped, and the notices that name what goes on.

    They say it within a moment, which on a busy machine is after the prompt's end.
    """
    said: dict[str, str] = {}
    notices: list[Mapping[str, Any]] = []
    late = conversation.follow(outcome.prompt_id, within=BOUND)
    for message in chain(outcome.events, late):
        if _is_text(message) and message.data["text"].startswith("Interrupted."):
            said[message.data["node"]] = message.data["text"]
        if isinstance(message, Event) and message.kind == "flux-nodes.notice":
            notices.append(message.data)
        told = " ".join(notice["detail"] for notice in notices)
        if said.keys() >= set(nodes) and all(id_ in told for id_ in re.findall("g-[0-9a-z]+", " ".join(said.values()))):
            break
    return [said[each] for each in nodes], notices


def test_an_interruption_is_felt_at_once_says_what_goes_on_and_nothing_is_paid_twice(
    host: Comfyui, clock: Clock, service: Sandbox
) -> None:
    graph = {"1": imagine("a slow river"), "2": saved("1"), "3": imagine("a slow brook"), "4": saved("3")}
    with host.connect() as conversation, clock.held():
        id_ = conversation.queue(graph)
        until(lambda: submitted(service, "a slow river") and submitted(service, "a slow brook"))
        host.interrupt()
        # Ends while the service's clock stands still: nobody waited for the pictures.
        outcome = conversation.wait(id_, within=BOUND)
        last, notices = when_stopped(conversation, outcome, "1", "3")
    assert outcome.ended == "interrupted"
    assert all(words.startswith("Interrupted. g-") and "free" in words for words in last)
    assert all("run the graph again" in words for words in last)
    assert {notice["severity"] for notice in notices} == {"info"}
    until(lambda: all(each["status"] == "stored" for each in listed(host, "slow")))
    charges = service.charges
    again = host.submit(graph)
    assert again.ended == "success", again.error
    assert "reused, free" in words_of(again)[-1]
    assert service.charges == charges


def test_an_interrupted_run_that_pays_again_is_collected_and_not_advised_to_run_again(
    host: Comfyui, clock: Clock, service: Sandbox
) -> None:
    graph = {"1": imagine("a fresh spring", fresh=True), "2": saved("1")}
    with host.connect() as conversation, clock.held():
        id_ = conversation.queue(graph)
        until(lambda: submitted(service, "a fresh spring"))
        host.interrupt()
        outcome = conversation.wait(id_, within=BOUND)
        (last,), _ = when_stopped(conversation, outcome, "1")
    assert "collected free" in last
    assert "run the graph again" not in last
    until(lambda: [each["status"] for each in listed(host, "spring")] == ["stored"])


def test_a_graph_that_is_run_again_at_once_follows_what_the_interrupted_one_has_started(
    host: Comfyui, clock: Clock, service: Sandbox
) -> None:
    graph = {"1": imagine("a slow tide"), "2": saved("1")}
    with host.connect() as conversation:
        with clock.held():
            first = conversation.queue(graph)
            until(lambda: submitted(service, "a slow tide"))
            host.interrupt()
            assert conversation.wait(first, within=BOUND).ended == "interrupted"
            second = conversation.queue(graph)
            words = (message.data["text"] for message in conversation.follow(second, within=BOUND) if _is_text(message))
            assert any(re.search(r" · [0-9]+ s$", text) for text in words), "it waits for the same generation"
        outcome = conversation.wait(second, within=BOUND)
    assert outcome.ended == "success", outcome.error
    assert "reused, free" in words_of(outcome)[-1]
    assert submitted(service, "a slow tide") == 1


def _is_text(message: Event | Preview) -> TypeGuard[Event]:
    return isinstance(message, Event) and message.kind == "text"


def test_a_failure_waits_for_what_its_siblings_have_paid_for(host: Comfyui, clock: Clock, service: Sandbox) -> None:
    service.inject(Fault(where="submit", kind="refuse", status=400, body='{"errors": [{"msg": "no"}]}', match="thorn"))
    after = imagine("an afterthought", image_prompt=["2", 0])
    graph = {"1": imagine("a thorn"), "2": imagine("a rose"), "3": saved("1"), "4": saved("2"), "5": after}
    graph["6"] = saved("5")
    with host.connect() as conversation:
        failed = None
        with clock.held():
            id_ = conversation.queue(graph)
            for message in conversation.follow(id_, within=BOUND):
                if _is_text(message) and "failed · " in message.data["text"]:
                    failed = message.data["node"]
                    break
            until(lambda: submitted(service, "a rose"))
        outcome = conversation.wait(id_, within=BOUND)
    assert failed == "1", "it is told before the sibling ends"
    assert outcome.ended == "error"
    assert outcome.outputs["4"]["images"], "what the sibling brought was saved"
    assert submitted(service, "an afterthought") == 0, "nothing new is paid for"
    (rose,) = listed(host, "rose")
    assert rose["status"] == "stored"
    charges = service.charges
    assert host.submit({"2": graph["2"], "4": saved("2", "again")}).ended == "success"
    assert service.charges == charges


def test_one_of_a_list_that_fails_does_not_lose_the_rest(host: Comfyui, service: Sandbox) -> None:
    service.inject(Fault(where="submit", kind="refuse", status=400, body='{"errors": [{"msg": "no"}]}', match="weed"))
    graph = {"0": node("FluxPromptList", prompts="a weed\na tulip\na lily"), "1": imagine(["0", 0]), "2": saved("1")}
    charges = service.charges
    outcome = host.submit(graph)
    assert outcome.ended == "error"
    counts, failed, others = words_of(outcome)[-1].splitlines()
    assert counts.startswith("2 of 3 stored · 1 failed")
    assert failed.startswith('"a weed": failed · The service refused it')
    assert "sidebar" in others
    assert "free" in others
    assert host.submit(graph).ended == "success"
    assert service.charges == charges + 3, "each of them was paid for once"


def test_the_rest_of_a_list_that_pays_again_is_kept_and_not_said_to_come_free(host: Comfyui, service: Sandbox) -> None:
    service.inject(Fault(where="submit", kind="refuse", status=400, body='{"errors": [{"msg": "no"}]}', match="moss"))
    prompts = node("FluxPromptList", prompts="some moss\na crocus")
    outcome = host.submit({"0": prompts, "1": imagine(["0", 0], fresh=True), "2": saved("1")})
    others = words_of(outcome)[-1].splitlines()[-1]
    assert "sidebar" in others
    assert "Pay again is on" in others
    assert "free" not in others


def test_a_long_list_of_which_the_first_fails_before_the_last_has_begun_ends_all_the_same(comfyui: Comfyui) -> None:
    prompts = "\n".join(f"flower {at}" for at in range(150))
    graph = {"0": node("FluxPromptList", prompts=prompts), "1": imagine(["0", 0]), "2": saved("1")}
    outcome = comfyui.submit(graph)
    assert outcome.ended == "error"
    assert "Settings → Flux Nodes" in outcome.error


def test_a_foreign_node_that_fails_ends_the_prompt_and_the_generation_is_collected_all_the_same(
    host: Comfyui, clock: Clock, service: Sandbox, delay: Delay
) -> None:
    service.inject(Fault(where="account", kind="slow", seconds=0))
    empty = {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}}
    blend = {"image1": ["4", 0], "image2": ["4", 0], "blend_factor": ["3", 0], "blend_mode": "normal"}
    graph = {
        "1": imagine("a lighthouse"),
        "2": saved("1"),
        "3": node("FluxAccount"),
        "4": empty,
        "5": {"class_type": "ImageBlend", "inputs": blend},
        "6": saved("5", "../../outside"),  # which ComfyUI does not allow
    }
    with clock.held(), host.connect() as conversation:
        with delay.held():  # what fails waits for the account
            id_ = conversation.queue(graph)
            until(lambda: submitted(service, "a lighthouse"))
        assert conversation.wait(id_, within=BOUND).ended == "error"
        assert submitted(service, "a lighthouse") == 1
    until(lambda: [each["status"] for each in listed(host, "lighthouse")] == ["stored"])


def test_all_nodes_that_can_send_have_sent_before_the_first_one_ends_and_are_asked_for_together(
    host: Comfyui, clock: Clock, service: Sandbox
) -> None:
    graph: dict[str, Any] = {}
    for at in range(5):
        graph[f"{at}"] = imagine(f"tower {at}", seed=at, model=["flux-schnell", "flux-pro"][at % 2])
        graph[f"save {at}"] = saved(f"{at}")
    seen = len(service.requests)
    with host.connect() as conversation:
        with clock.held():
            id_ = conversation.queue(graph)
            until(lambda: any(len(ids) == 5 for ids in _asked_together(service, seen)))
        outcome = conversation.wait(id_, within=BOUND)
    assert outcome.ended == "success", outcome.error
    assert len(outcome.images) == 10
    new = service.requests[seen:]
    assert sum(request.path == "/flux-imagine" for request in new) == 5
    first = next(at for at, request in enumerate(new) if len((request.json or {}).get("task_ids", [])) == 5)
    # Before it some were not sent yet, and how often the others were asked for by then is the machine's to say.
    assert sum(request.path == "/fetch" for request in new[first:]) <= 2 * 5, "alone at the last question only"
    assert "HTTP Request" not in host.log.text(), "the console is ComfyUI's"


def test_a_script_that_uses_an_id_of_a_prompt_again_is_not_held_up_by_what_failed_before(
    host: Comfyui, service: Sandbox
) -> None:
    service.inject(Fault(where="submit", kind="refuse", status=400, body='{"errors": [{"msg": "no"}]}', match="nettle"))
    id_ = str(uuid4())  # newer ComfyUIs take no other kind
    with host.connect() as conversation:
        first = conversation.queue({"1": imagine("a nettle"), "2": saved("1")}, prompt_id=id_)
        assert conversation.wait(first, within=BOUND).ended == "error"
        second = conversation.queue({"3": imagine("a fern"), "4": saved("3")}, prompt_id=id_)
        outcome = conversation.wait(second, within=BOUND)
    assert outcome.ended == "success", outcome.error


def test_a_long_list_that_is_being_sent_is_stopped_as_quickly_as_one(
    host: Comfyui, service: Sandbox, delay: Delay
) -> None:
    service.inject(Fault(where="submit", kind="slow", seconds=0, times=None, match="pebble"))
    prompts = "\n".join(f"pebble {at}" for at in range(90))
    graph = {"0": node("FluxPromptList", prompts=prompts), "1": imagine(["0", 0]), "2": saved("1")}
    seen = len(service.requests)
    with host.connect() as conversation, delay.held():
        id_ = conversation.queue(graph)
        until(lambda: [request.path for request in service.requests[seen:]].count("/flux-imagine") > 60)
        begun = monotonic()
        host.interrupt()
        outcome = conversation.wait(id_, within=BOUND)
    assert outcome.ended == "interrupted"
    assert monotonic() - begun < 7, "it takes less than one; a few after the others, eight or more"


def _asked_together(service: Sandbox, since: int) -> list[list[str]]:
    asked = [request.json for request in service.requests[since:] if request.path == "/fetch-many"]
    return [each["task_ids"] for each in asked]

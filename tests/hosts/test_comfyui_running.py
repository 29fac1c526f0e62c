"""How our nodes run inside a genuine ComfyUI: what stands on them, what they give, and what their files tell."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from contextlib import closing
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from flux_nodes.core.content_credentials import is_signed
from flux_nodes.core.xmp import KEYWORD, TRAINED, source_type
from flux_nodes.sandbox import Fault, Sandbox
from tests.hosts.conversation import Conversation, Event
from tests.hosts.running import BOUND, Clock, Window, imagine, listed, node, saved, submitted, until, words_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.hosts.comfyui import Comfyui
    from tests.hosts.conftest import StartComfyui
    from tests.hosts.conversation import Outcome, Preview


def with_workflow(host: Comfyui, prompt: Mapping[str, Any]) -> Outcome:
    """Run a prompt as the frontend sends it: with the drawing, which ComfyUI writes into its files."""
    extra = {"extra_pnginfo": {"workflow": {"nodes": [], "version": 0.4}}}

    def ask(method: str, path: str, body: object) -> tuple[int, bytes]:
        assert isinstance(body, dict)
        return host.ask(method, path, {**body, "extra_data": extra})

    with Conversation(host.port, ask=ask) as conversation:
        return conversation.wait(conversation.queue(prompt), within=BOUND)


def chunks(host: Comfyui, image: Mapping[str, str]) -> dict[str, Any]:
    opened = Image.open(BytesIO(host.view(image)))
    return {
        name: json.loads(text)
        for name, text in opened.info.items()
        if isinstance(name, str) and isinstance(text, str) and name != KEYWORD
    }


def test_a_node_tells_its_state_and_the_time_in_words_and_its_progress_in_percent(host: Comfyui, clock: Clock) -> None:
    with host.connect() as conversation:
        with clock.held():
            id_ = conversation.queue({"1": imagine("a windmill"), "2": saved("1")})
            before = _until_a_second_second(conversation.follow(id_, within=BOUND))
        outcome = conversation.wait(id_, within=BOUND)
    assert outcome.ended == "success"
    assert before[0].startswith("sending")
    last = words_of(outcome)[-1]
    assert last.startswith("stored in ")
    assert "credit" in last
    assert "g-" in last
    states = [event.data["nodes"].get("1", {}) for event in outcome.events if event.kind == "progress_state"]
    assert any(state.get("max") == state.get("value") == 100 for state in states)
    assert outcome.previews == (), "a live picture would hide the final one"


def _until_a_second_second(messages: Iterator[Event | Preview]) -> list[str]:
    """The words under the node until the time there has moved on."""
    heard: list[str] = []
    for message in messages:
        if isinstance(message, Event) and message.kind == "text":
            heard.append(message.data["text"])
            if len({words for words in heard if re.search(r" · [0-9]+ s$", words)}) == 2:
                break
    return heard


def test_the_last_words_are_told_again_after_the_end_when_a_frontend_has_wiped_them(host: Comfyui) -> None:
    with closing(Window(host, "mine")) as window:
        host.ask("POST", "/prompt", {"prompt": {"1": imagine("a beech"), "2": saved("1")}, "client_id": "mine"})
        window.hear("execution_success")
        while window.hear("executing")["node"] is not None:
            continue
        last = window.hear("flux-nodes.words")
    assert last["node"] == "1"
    assert last["text"].startswith("stored in ")
    assert "images" not in last, "ComfyUI has shown them"


@pytest.mark.parametrize("gone", [False, True], ids=["there", "gone"])
def test_a_node_that_comfyui_does_not_run_shows_what_it_showed_if_the_file_is_still_there(
    host: Comfyui, gone: bool
) -> None:
    graph = {"1": imagine("a larch", count=2, seed=20 + gone), "2": saved("1")}
    with host.connect() as conversation:
        first = conversation.wait(conversation.queue(graph), within=BOUND)
        shown = first.outputs["1"]["images"]
        words = _last_words(conversation.follow(first.prompt_id, within=BOUND))["text"]
        if gone:
            file = shown[0]
            (host.base / "temp" / file["subfolder"] / file["filename"]).unlink()
        id_ = conversation.queue(graph)
        assert "1" not in conversation.wait(id_, within=BOUND).outputs
        after = _last_words(conversation.follow(id_, within=BOUND))
    again = {"prompt_id": id_, "node": "1", "text": words}
    assert after == (again if gone else again | {"images": shown})


def _last_words(messages: Iterator[Event | Preview]) -> Mapping[str, Any]:
    """What our own page is told after the end; nobody hears of a run that has not been."""
    for message in messages:
        assert isinstance(message, Event)
        if message.kind == "flux-nodes.words":
            return message.data
        assert message.kind not in {"executed", "text"}
    raise AssertionError("no last words")


def test_a_node_shows_its_picture_with_the_graph_in_it_and_the_history_has_it(host: Comfyui) -> None:
    outcome = host.submit({"1": imagine("a heron", count=3), "2": saved("1")})
    outputs = host.history(outcome.prompt_id)["outputs"]
    assert len(outputs["1"]["images"]) == len(outputs["2"]["images"]) == 3
    first = chunks(host, outputs["1"]["images"][0])
    assert source_type(host.view(outputs["1"]["images"][0])) == TRAINED, "people save it from the node"
    assert first["prompt"]["1"]["inputs"]["prompt"] == "a heron"
    assert {image["type"] for image in outputs["1"]["images"]} == {"temp"}


def test_a_count_gives_a_batch_of_seeds_that_follow_each_other(host: Comfyui, service: Sandbox) -> None:
    outcome = host.submit({"1": imagine("three geese", count=3, seed=40), "2": saved("1")})
    assert outcome.ended == "success", outcome.error
    seeds = [task.body["seed"] for task in service.tasks if task.prompt == "three geese"]
    assert sorted(seeds) == [40, 41, 42]
    assert "3 images" in words_of(outcome)[-1]


def test_a_list_of_prompts_gives_an_image_for_each_and_one_line_for_all(host: Comfyui, service: Sandbox) -> None:
    given = "\n".join(["a red barn", "a blue barn", "a green barn"])
    prompts = node("FluxPromptList", prompts=given)
    sheet = node("FluxContactSheet", labels=["0", 0], image_1=["1", 0])
    outcome = host.submit({"0": prompts, "1": imagine(["0", 0]), "2": saved("1"), "3": sheet, "4": saved("3")})
    assert outcome.ended == "success", outcome.error
    assert len(outcome.outputs["2"]["images"]) == 3
    assert len(outcome.outputs["4"]["images"]) == 1, "the sheet takes the whole list"
    assert [submitted(service, each) for each in given.splitlines()] == [1, 1, 1]
    (line,) = words_of(outcome)[-1].splitlines()
    assert line.startswith("stored in ")
    assert (line.count("g-"), "3 images" in line, "3 credits" in line) == (3, True, True)


def test_a_part_that_fails_is_named_and_the_others_are_kept(host: Comfyui, service: Sandbox) -> None:
    service.inject(Fault(where="submit", kind="fail", match="a sick duck", skip=1, times=1))
    graph = {"1": imagine("a sick duck", count=3, seed=60), "2": saved("1")}
    outcome = host.submit(graph)
    assert outcome.ended == "error"
    assert outcome.error.startswith("1 of 3 failed · seed 6")
    assert "Moderated" in outcome.error
    assert "Moderated" in words_of(outcome)[-1]
    assert sorted(each["status"] for each in listed(host, "sick")) == ["failed", "stored", "stored"]
    charges = service.charges
    again = host.submit(graph)
    assert again.ended == "success", again.error
    assert service.charges == charges + 1


def test_a_failure_at_the_service_says_what_it_may_have_cost_and_another_run_pays_again_as_it_says(
    host: Comfyui, service: Sandbox
) -> None:
    service.inject(Fault(where="submit", kind="fail", match="a lewd duck", times=1))
    graph = {"1": imagine("a lewd duck"), "2": saved("1")}
    charges = service.charges
    outcome = host.submit(graph)
    assert outcome.error.startswith('The service says "Request Moderated')
    assert "may have cost 1 credit" in outcome.error
    assert "pays again: change the prompt" in outcome.error
    assert "may have cost 1 credit" in words_of(outcome)[-1]
    again = host.submit(graph)
    assert again.ended == "success", again.error
    assert service.charges == charges + 2


def test_what_the_service_does_not_take_was_not_paid_and_nothing_is_said_for_a_terminal(
    host: Comfyui, service: Sandbox
) -> None:
    service.inject(Fault(where="submit", kind="refuse", status=400, body='{"errors": [{"msg": "no"}]}', match="weasel"))
    outcome = host.submit({"1": imagine("a weasel"), "2": saved("1")})
    assert outcome.error.startswith('The service refused it (400): "no". Nothing was paid.')
    unknown = host.submit({"1": node("FluxFetch", generation_id="g-nobody"), "2": saved("1")})
    assert "sidebar" in unknown.error
    assert "flux-nodes list" not in unknown.error


def test_while_pay_again_is_on_every_run_of_an_unchanged_graph_makes_and_pays_a_new_one(
    host: Comfyui, service: Sandbox
) -> None:
    graph = {"1": imagine("a fresh fig", fresh=True), "2": saved("1")}
    for _ in range(2):
        outcome = host.submit(graph)
        assert outcome.ended == "success", outcome.error
        assert "reused" not in words_of(outcome)[-1]
        assert words_of(outcome)[-1].endswith(" · Pay again is on")
    assert submitted(service, "a fresh fig") == 2
    assert len(listed(host, "fig")) == 2
    off = {"1": imagine("a fresh fig", fresh=False), "2": saved("1")}
    assert "reused, free" in words_of(host.submit(off))[-1]
    assert submitted(service, "a fresh fig") == 2


def test_a_service_that_does_not_answer_is_said_to_be_silent_long_before_it_is_given_up(
    start_comfyui: StartComfyui,
) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))  # and never listens
        address = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        host = start_comfyui({"APIFRAME_BASE_URL": address, "APIFRAME_API_KEY": "sandbox"})
        with host.connect() as conversation:
            id_ = conversation.queue({"1": imagine("a mute swan"), "2": saved("1")})
            for message in conversation.follow(id_, within=BOUND):
                if isinstance(message, Event) and message.kind == "text" and "no answer" in message.data["text"]:
                    host.interrupt()
    # What a node that is stopped leaves behind may be written down a moment later.
    until(lambda: [swan["status"] for swan in listed(host, "swan")] == ["refused"])


def test_a_saved_file_tells_its_generations_also_when_comfyui_had_the_image_already(host: Comfyui) -> None:
    first = with_workflow(host, {"1": imagine("a quince", count=2), "2": saved("1")})
    facts = chunks(host, first.outputs["2"]["images"][0])["flux_nodes"]
    ids = [each["generation_id"] for each in facts["nodes"]["1"]]
    assert sorted(ids) == sorted(each["id"] for each in listed(host, "quince"))
    assert facts["software"].startswith("flux-nodes ")
    signed = [
        (each["original"]["signed"], each["original"]["sha256"] == each["sha256"]) for each in facts["nodes"]["1"]
    ]
    assert signed == [("c2pa", True)] * 2
    assert not any(is_signed(host.view(image)) for node in ("1", "2") for image in first.outputs[node]["images"])
    assert "key" not in json.dumps(facts)
    again = with_workflow(host, {"1": imagine("a quince", count=2), "2": saved("1", "elsewhere")})
    executed = [event.data["nodes"] for event in again.events if event.kind == "execution_cached"]
    assert "1" in executed[0], "ComfyUI did not run it again"
    assert chunks(host, again.outputs["2"]["images"][0])["flux_nodes"] == facts


def test_the_graph_that_asked_is_kept_with_what_it_generated(host: Comfyui) -> None:
    with_workflow(host, {"1": imagine("a medlar"), "2": saved("1")})
    (medlar,) = listed(host, "medlar")
    assert medlar["workflow"] == "own"


def test_a_past_generation_is_chosen_by_words_that_comfyui_has_never_seen(host: Comfyui, service: Sandbox) -> None:
    host.submit({"1": imagine("a walnut"), "2": saved("1")})
    (walnut,) = listed(host, "walnut")
    charges = service.charges
    load = node("FluxLoadGeneration", generation=f"{walnut['id']} a walnut")
    outcome = host.submit({"1": load, "2": saved("1", "walnut")})
    assert outcome.ended == "success", outcome.error
    assert len(outcome.outputs["1"]["images"]) == 1
    assert service.charges == charges


def test_the_faces_are_what_comfyui_makes_of_lists_and_choices(host: Comfyui) -> None:
    info = host.object_info()
    assert info["FluxPromptList"]["output_is_list"][0] is True
    load = info["FluxLoadGeneration"]["input"]
    kind, options = {**load.get("required", {}), **load.get("optional", {})}["generation"]
    assert (kind, options["options"], options["remote"]["route"]) == ("COMBO", [], "/flux-nodes/recent")


def test_without_a_key_the_error_leads_to_comfyuis_settings(comfyui: Comfyui) -> None:
    outcome = comfyui.submit({"1": imagine("a key"), "2": saved("1")})
    assert outcome.ended == "error"
    assert "Settings → Flux Nodes" in outcome.error
    assert "sandbox" in outcome.error
    (failed,) = (event.data for event in outcome.events if event.kind == "execution_error")
    assert failed["exception_type"] == "flux_nodes.MissingKey"
    for words in ("login", "Payment Required", "Unauthorized"):
        assert words not in outcome.error.replace("flux-nodes login", "")


def test_starting_comfyui_loads_none_of_what_only_a_run_needs() -> None:
    code = "import flux_nodes.comfy.extension, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=BOUND)
    heavy = {"numpy", "PIL", "torch", "sqlalchemy", "httpx2", "pydantic", "starlette", "uvicorn"}
    assert not heavy & set(run.stdout.split())

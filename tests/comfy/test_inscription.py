"""What is remembered of the nodes of a prompt, and what that costs when a prompt is queued."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flux_nodes.comfy.inscription import Signatures, inscribe, on_prompt
from flux_nodes.core import ImagineRequest

if TYPE_CHECKING:
    from flux_nodes.core import Generations
    from flux_nodes.core.generation import Generation


class Large:
    """A value of another pack's widget that counts how often it is read."""

    def __init__(self) -> None:
        self.reads = 0

    def __str__(self) -> str:
        self.reads += 1
        return "large"


def imagines(count: int, source: str) -> dict[str, Any]:
    return {
        f"{source}-{at}": {"class_type": "FluxImagine", "inputs": {"seed": at, "prompt": [source, 0]}}
        for at in range(count)
    }


def queued(prompt: dict[str, Any]) -> dict[str, Any]:
    """The facts that a prompt gets when it is queued, by node."""
    extra: dict[str, Any] = {}
    on_prompt({"prompt": prompt, "extra_data": {"extra_pnginfo": extra}})
    nodes: dict[str, Any] = extra.get("flux_nodes", {}).get("nodes", {})
    return nodes


async def made(generations: Generations) -> Generation:
    return await generations.start(ImagineRequest(model="flux-schnell", prompt="a", width=256, height=256, seed=1))


async def test_a_prompt_is_not_read_before_anything_is_remembered_and_each_node_once_after(
    generations: Generations,
) -> None:
    large = Large()
    prompt = {"text": {"class_type": "Theirs", "inputs": {"value": large}}, **imagines(50, "text")}
    assert queued(prompt) == {}
    assert large.reads == 0
    inscribe(Signatures(prompt), {}, "text-3", [await made(generations)])
    large.reads = 0
    assert set(queued(prompt)) == {"text-3"}
    assert large.reads == 1


async def test_facts_belong_to_a_node_and_to_all_that_flows_into_it(generations: Generations) -> None:
    first = {"a": {"class_type": "Theirs", "inputs": {"value": 3}}, **imagines(2, "a")}
    inscribe(Signatures(first), {}, "a-1", [await made(generations)])
    assert set(queued(first)) == {"a-1"}
    assert set(queued({**first, "a": {"class_type": "Theirs", "inputs": {"value": 3.0}}})) == {"a-1"}
    assert queued({**first, "a": {"class_type": "Theirs", "inputs": {"value": 4}}}) == {}


async def test_a_long_chain_and_a_circle_are_read_to_their_end(generations: Generations) -> None:
    chain: dict[str, Any] = {
        str(at): {"class_type": "FluxImagine", "inputs": {"image_prompt": [str(at + 1), 0]}} for at in range(3000)
    }
    inscribe(Signatures(chain), {}, "0", [await made(generations)])
    assert set(queued(chain)) == {"0"}
    circle = {str(at): {"class_type": "FluxImagine", "inputs": {"prompt": [str((at + 1) % 3), 0]}} for at in range(3)}
    assert queued(circle) == {}


async def test_facts_tell_where_the_signed_original_is_also_when_comfyui_runs_nothing_again(
    generations: Generations,
) -> None:
    started = await made(generations)
    done = await generations.wait(started.id)
    prompt: dict[str, Any] = imagines(1, "a")
    extra: dict[str, Any] = {}
    inscribe(Signatures(prompt), extra, "a-0", [done], signed=[done.id])
    told = extra["flux_nodes"]["nodes"]["a-0"][0]["original"]
    assert (told["signed"], told["sha256"]) == ("c2pa", done.sha256)
    assert queued(prompt)["a-0"][0]["original"] == told

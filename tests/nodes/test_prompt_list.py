from __future__ import annotations

import pytest

from flux_nodes.core.errors import InvalidRequest
from tests.nodes.playing import BY_ID, NOWHERE, result


async def test_each_line_is_a_prompt_and_remarks_and_empty_lines_are_none() -> None:
    prompts = "a cat\n\n  # not this one\n   a dog  \r\n#nor this\n"
    made = await result("FluxPromptList", NOWHERE, prompts=prompts)
    assert made.values == (["a cat", "a dog"], 2)
    assert made.text == "2 prompts"
    assert [output.is_list for output in BY_ID["FluxPromptList"].outputs] == [True, False]


@pytest.mark.parametrize(
    ("before", "after", "prompt"),
    [
        ("", "", "a cat"),
        ("a watercolour of", "", "a watercolour of a cat"),
        ("", "at dawn", "a cat at dawn"),
        ("a watercolour of ", ", at dawn", "a watercolour of a cat, at dawn"),
        ("  ", "\n", "a cat"),
    ],
)
async def test_what_stands_before_and_after_is_put_around_each(before: str, after: str, prompt: str) -> None:
    made = await result("FluxPromptList", NOWHERE, prompts="a cat", before=before, after=after)
    assert made.values == ([prompt], 1)


@pytest.mark.parametrize("prompts", ["", "  \n\n", "# only a remark"])
async def test_no_prompt_at_all_is_an_error(prompts: str) -> None:
    with pytest.raises(InvalidRequest, match="no prompt"):
        await result("FluxPromptList", NOWHERE, prompts=prompts, before="a watercolour of")

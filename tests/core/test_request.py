from __future__ import annotations

import base64
import io
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from flux_nodes.core.catalog import MODEL_NAMES, PARAMETERS
from flux_nodes.core.errors import InvalidRequest, NothingSent
from flux_nodes.core.request import ImagineRequest


def png(colour: str = "orange") -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (32, 16), colour).save(target, "PNG")
    return target.getvalue()


def faults_of(**values: Any) -> dict[str, str]:
    with pytest.raises(InvalidRequest) as caught:
        ImagineRequest(**values)
    return {fault.where: str(fault) for fault in caught.value.faults}


@pytest.mark.parametrize(
    ("values", "where", "word"),
    [
        ({"width": 255}, "width", "256 to 1440"),
        ({"width": 1441}, "width", "256 to 1440"),
        ({"height": 255}, "height", "256 to 1440"),
        ({"height": 1441}, "height", "256 to 1440"),
        ({"width": 512.5}, "width", "whole number"),
        ({"width": True}, "width", "whole number"),
        ({"width": "512"}, "width", "whole number"),
        ({"seed": 1.0}, "seed", "whole number"),
        ({"safety_tolerance": 7}, "safety_tolerance", "0 to 6"),
        ({"safety_tolerance": -1}, "safety_tolerance", "0 to 6"),
        ({"model": "flux-pro", "interval": 5}, "interval", "1 to 4"),
        ({"model": "flux-pro", "interval": 0}, "interval", "1 to 4"),
        ({"model": "flux-pro", "steps": "many"}, "steps", "whole number"),
        ({"model": "flux-pro", "guidance": math.nan}, "guidance", "a number"),
        ({"model": "flux-pro", "guidance": math.inf}, "guidance", "a number"),
        ({"model": "flux-pro-1.1-ultra", "image_prompt_strength": 1.01}, "image_prompt_strength", "0 to 1"),
        ({"model": "flux-pro-1.1-ultra", "image_prompt_strength": -0.01}, "image_prompt_strength", "0 to 1"),
        ({"model": "flux-pro-1.1-ultra", "raw": 1}, "raw", "true or false"),
        ({"prompt_upsampling": "yes"}, "prompt_upsampling", "true or false"),
        ({"model": "flux-pro-1.1-ultra", "aspect_ratio": "22:9"}, "aspect_ratio", "21:9"),
        ({"model": "flux-pro-1.1-ultra", "aspect_ratio": "9:22"}, "aspect_ratio", "9:21"),
        ({"model": "flux-pro-1.1-ultra", "aspect_ratio": "wide"}, "aspect_ratio", "width:height"),
        ({"model": "flux-pro-1.1-ultra", "aspect_ratio": "0:9"}, "aspect_ratio", "width:height"),
        ({"model": "flux-2"}, "model", "flux-pro-1.1-ultra"),
        ({"model": 3}, "model", "flux-schnell"),
        ({"prompt": "   "}, "prompt", "not empty"),
        ({"prompt": "half \ud800 character"}, "prompt", "surrogate"),
        ({"image_prompt": b"GIF89a no more"}, "image_prompt", "image"),
        ({"image_prompt": "%%%"}, "image_prompt", "base64"),
        ({"image_prompt": png()[:-30]}, "image_prompt", "damaged"),
        ({"webhook_url": "ftp://example.com/x"}, "webhook_url", "http"),
        ({"webhook_url": "http://exa mple.com"}, "webhook_url", "http"),
        ({"webhook_secret": ""}, "webhook_secret", "not empty"),
        ({"colour": "red"}, "colour", "no such parameter"),
    ],
)
def test_a_value_that_the_page_rules_out_is_named_with_what_is_allowed(
    values: dict[str, Any], where: str, word: str
) -> None:
    found = faults_of(**{"model": "flux-pro-1.1", "prompt": "a field", **values})
    assert list(found) == [where]
    assert word in found[where]


@pytest.mark.parametrize(
    "values",
    [
        {"width": 256, "height": 1440},
        {"width": 1440, "height": 256},
        {"width": 1001},
        {"seed": -1},
        {"seed": 2**63},
        {"safety_tolerance": 0},
        {"safety_tolerance": 6},
        {"model": "flux-dev", "steps": 500, "guidance": 99},
        {"model": "flux-pro", "interval": 1},
        {"model": "flux-pro", "guidance": 3},
        {"model": "flux-pro-1.1-ultra", "aspect_ratio": "21:9"},
        {"model": "flux-pro-1.1-ultra", "aspect_ratio": "9:21"},
        {"model": "flux-pro-1.1-ultra", "aspect_ratio": "210:90"},
        {"model": "flux-pro-1.1-ultra", "image_prompt_strength": 1},
        {"model": "flux-pro-1.1-ultra", "width": 512},
        {"prompt": "日本語の花畑 🌻"},
    ],
)
def test_what_the_page_does_not_rule_out_is_accepted(values: dict[str, Any]) -> None:
    given_values = {"model": "flux-pro-1.1", "prompt": "a field", **values}
    assert ImagineRequest(**given_values).wire() == given_values


@pytest.mark.parametrize("model", MODEL_NAMES)
@pytest.mark.parametrize("name", [item.name for item in PARAMETERS if not item.universal])
def test_a_parameter_is_refused_exactly_by_the_models_that_do_not_take_it(model: str, name: str) -> None:
    item = next(item for item in PARAMETERS if item.name == name)
    value = {"boolean": True, "ratio": "16:9", "number": 1, "integer": 2}[item.kind]
    values: dict[str, Any] = {"model": model, "prompt": "a field", name: value}
    if item.taken_by(model):
        assert ImagineRequest(**values).wire()[name] == value
    else:
        assert model in faults_of(**values)[name]


def test_every_fault_is_named_at_once_and_the_error_says_that_nothing_was_paid() -> None:
    with pytest.raises(NothingSent) as caught:
        ImagineRequest(model="flux-schnell", width=9, height="tall", raw=True, image_prompt=b"no", seed=None)
    text = str(caught.value)
    for name in ("prompt", "width", "height", "raw", "image_prompt"):
        assert f"{name}:" in text
    assert "nothing was paid" in text


def test_an_error_never_repeats_a_whole_image_or_a_secret() -> None:
    long = "A" * 10_000
    with pytest.raises(InvalidRequest) as caught:
        ImagineRequest(model="flux-dev", prompt="x", image_prompt=long, width=long, webhook_secret="  ")
    assert len(str(caught.value)) < 1000


def test_an_image_prompt_travels_as_bare_base64_however_it_was_given() -> None:
    encoded = base64.b64encode(png()).decode()
    for image in (png(), encoded, f"data:image/png;base64,{encoded}", encoded[:20] + "\n" + encoded[20:]):
        assert ImagineRequest(model="flux-dev", prompt="x", image_prompt=image).wire()["image_prompt"] == encoded


def test_the_record_keeps_an_image_by_digest_and_no_secret() -> None:
    request = ImagineRequest(
        model="flux-dev", prompt="x", image_prompt=png(), webhook_url="https://example.com/h", webhook_secret="hush"
    )
    record = request.record()
    assert str(record["image_prompt"]).startswith("sha256:")
    assert record["webhook_url"] == "https://example.com/h"
    assert "webhook_secret" not in record
    assert "hush" not in repr(request)


def test_the_fingerprint_tells_pictures_apart_and_not_their_delivery() -> None:
    base = ImagineRequest(model="flux-dev", prompt="x", seed=1, image_prompt=png())
    delivered = ImagineRequest(
        model="flux-dev",
        prompt="x",
        seed=1,
        image_prompt=png(),
        webhook_url="https://example.com/h",
        webhook_secret="s",
    )
    others = [
        ImagineRequest(model="flux-dev", prompt="x", seed=2, image_prompt=png()),
        ImagineRequest(model="flux-dev", prompt="y", seed=1, image_prompt=png()),
        ImagineRequest(model="flux-dev", prompt="x", seed=1, image_prompt=png("blue")),
        ImagineRequest(model="flux-dev", prompt="x", seed=1),
        ImagineRequest(model="flux-pro", prompt="x", seed=1, image_prompt=png()),
    ]
    assert base.fingerprints == delivered.fingerprints
    for meant_or_written in (0, 1):
        assert len({request.fingerprints[meant_or_written] for request in [base, *others]}) == 6


def test_what_is_left_out_means_its_default_and_an_image_means_its_pixels() -> None:
    image = Image.open(io.BytesIO(png()))
    anew = io.BytesIO()
    image.save(anew, "PNG", compress_level=1)
    assert anew.getvalue() != png()
    few = ImagineRequest(model="flux-pro", prompt="x", seed=1, guidance=3, image_prompt=png())
    form = ImagineRequest(
        model="flux-pro",
        prompt="x",
        seed=1,
        guidance=3.0,
        width=1024,
        height=768,
        interval=2,
        prompt_upsampling=False,
        safety_tolerance=2,
        image_prompt=anew.getvalue(),
    )
    assert few.fingerprints[0] == form.fingerprints[0]
    assert few.fingerprints[1] != form.fingerprints[1]


def test_a_seed_or_steps_left_out_mean_no_number() -> None:
    base = ImagineRequest(model="flux-dev", prompt="x")
    others = [ImagineRequest(model="flux-dev", prompt="x", **more) for more in ({"seed": 0}, {"steps": 28})]
    assert len({request.fingerprints[0] for request in [base, *others]}) == 3


_ANYTHING = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(max_size=20))


@given(st.fixed_dictionaries({}, optional={item.name: _ANYTHING for item in PARAMETERS}))
def test_any_values_at_all_make_a_valid_request_or_one_clear_error(values: dict[str, Any]) -> None:
    try:
        request = ImagineRequest(**values)
    except InvalidRequest:
        assert faults_of(**values)
    else:
        assert request.wire()["prompt"] == values["prompt"]
        assert request.wire().keys() <= {name for name, value in values.items() if value is not None}


def test_a_request_without_a_seed_is_given_one_at_random_and_one_with_a_seed_keeps_it() -> None:
    bare = ImagineRequest(model="flux-dev", prompt="a field", image_prompt=png())
    seeded = [bare.seeded() for _ in range(8)]
    assert len({each.seed for each in seeded}) == 8
    for each in seeded:
        assert each.seed is not None
        assert 0 <= each.seed < 2**32
        assert each.record() == bare.record() | {"seed": each.seed}
    kept = ImagineRequest(model="flux-dev", prompt="a field", seed=0)
    assert kept.seeded() is kept

"""The catalog: the five models and the sixteen fields of a generation's body.

THE table, from which everything else is made.

`minimum`, `maximum`, `choices`, `models` and `default` state what the service's own page says (flux-imagine, table
"Body"); only that is ever refused. `Guide` holds what is known from upstream documentation and the page is silent
about: it guides widgets and help, and refuses nothing.

A model or a parameter may be added at any place: saved graphs and kept pictures still mean the same. A node's widgets
keep their order (`nodes.widget_order`), and a parameter that is left out or at its default changes no fingerprint.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["text", "integer", "number", "boolean", "ratio", "image", "url", "secret"]
"""What a field holds.

`ratio` is "W:H", `image` is an image file in base64, `secret` is never shown, logged or stored.
"""

Value = str | int | float | bool

PAGE = "flux-imagine page, table Body"
UPSTREAM = "Black Forest Labs API reference"


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model: its name on the wire, a label, and what to choose it for. `credits` is the price of one generation."""

    name: str
    label: str
    description: str
    credits: int = 1


@dataclass(frozen=True, kw_only=True)
class Guide:
    """What upstream documents beyond the page: for widgets and help only.

    `unset` is a widget's way to say "the model's own"; a `default` that is only what a widget begins with, and what
    nobody sends otherwise, is not `usual`.
    """

    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    default: Value | None = None
    usual: bool = True
    defaults: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))
    unset: Value | None = None
    note: str = ""
    source: str = UPSTREAM


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One field of the body.

    `models` are those that take it; `group` parts what shapes the picture from how it is delivered, and
    `advanced` what most people leave alone.
    """

    name: str
    label: str
    kind: Kind
    description: str
    models: tuple[str, ...]
    required: bool = False
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    default: Value | None = None
    group: Literal["picture", "delivery"] = "picture"
    advanced: bool = False
    guide: Guide = Guide()
    source: str = PAGE

    @property
    def universal(self) -> bool:
        """Whether every model takes it."""
        return len(self.models) == len(MODELS)

    def taken_by(self, model: str) -> bool:
        """Tell whether a model takes this parameter."""
        return model in self.models


MODELS: tuple[Model, ...] = (
    Model(name="flux-schnell", label="FLUX schnell", description="the fastest, for sketches and tries"),
    Model(name="flux-dev", label="FLUX dev", description="open weights, with steps and guidance to tune"),
    Model(
        name="flux-pro",
        label="FLUX pro",
        description="the first pro model, with steps, guidance and interval to tune",
    ),
    Model(
        name="flux-pro-1.1",
        label="FLUX 1.1 pro",
        description="better and faster than FLUX pro; a good first choice",
    ),
    Model(
        name="flux-pro-1.1-ultra",
        label="FLUX 1.1 pro ultra",
        description="up to four megapixels, shaped by an aspect ratio, with a raw mode",
    ),
)

MODEL_NAMES: tuple[str, ...] = tuple(model.name for model in MODELS)
DEFAULT_MODEL = "flux-pro-1.1"
"""What the doors offer first. The service itself has no default: its page requires the field."""

_ALL = MODEL_NAMES
_ULTRA = ("flux-pro-1.1-ultra",)
_TUNED = ("flux-dev", "flux-pro")
_SIZE = Guide(
    step=32,
    note="The model is made for multiples of 32; flux-pro-1.1-ultra is shaped by aspect_ratio instead.",
)

PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        name="model",
        label="Model",
        kind="text",
        required=True,
        choices=MODEL_NAMES,
        models=_ALL,
        description="Which FLUX model makes the image.",
    ),
    Parameter(
        name="prompt",
        label="Prompt",
        kind="text",
        required=True,
        models=_ALL,
        description="What the image shows, in words.",
    ),
    Parameter(
        name="image_prompt",
        label="Image prompt",
        kind="image",
        models=_ALL,
        description="An image to start from (image to image).",
    ),
    Parameter(
        name="image_prompt_strength",
        label="Image prompt strength",
        kind="number",
        models=_ULTRA,
        minimum=0,
        maximum=1,
        guide=Guide(default=0.1, step=0.01),
        description="How strongly the image prompt shapes the result, against the words: 0 not at all, 1 wholly.",
    ),
    Parameter(
        name="prompt_upsampling",
        label="Prompt upsampling",
        kind="boolean",
        advanced=True,
        models=_ALL,
        guide=Guide(default=False),
        description="Let the service rewrite the prompt for a more creative image.",
    ),
    Parameter(
        name="width",
        label="Width",
        kind="integer",
        models=_ALL,
        minimum=256,
        maximum=1440,
        default=1024,
        guide=_SIZE,
        description="Width of the image in pixels.",
    ),
    Parameter(
        name="height",
        label="Height",
        kind="integer",
        models=_ALL,
        minimum=256,
        maximum=1440,
        default=768,
        guide=_SIZE,
        description="Height of the image in pixels.",
    ),
    Parameter(
        name="aspect_ratio",
        label="Aspect ratio",
        kind="ratio",
        models=_ULTRA,
        minimum=9 / 21,
        maximum=21 / 9,
        default="16:9",
        description="Shape of the image as width:height, from 21:9 to 9:21.",
    ),
    Parameter(
        name="steps",
        label="Steps",
        kind="integer",
        advanced=True,
        models=_TUNED,
        guide=Guide(minimum=1, maximum=50, defaults=MappingProxyType({"flux-pro": 40, "flux-dev": 28}), unset=0),
        description="Number of steps of the generation: more is finer and slower.",
    ),
    Parameter(
        name="guidance",
        label="Guidance",
        kind="number",
        advanced=True,
        models=_TUNED,
        guide=Guide(
            minimum=1.5,
            maximum=5,
            step=0.1,
            defaults=MappingProxyType({"flux-pro": 2.5, "flux-dev": 3}),
            unset=0.0,
        ),
        description="How closely the image follows the prompt; high values cost realism.",
    ),
    Parameter(
        name="interval",
        label="Interval",
        kind="integer",
        advanced=True,
        models=("flux-pro",),
        minimum=1,
        maximum=4,
        default=2,
        description="Guidance control: low values keep to the prompt, high values leave the model more freedom.",
    ),
    Parameter(
        name="seed",
        label="Seed",
        kind="integer",
        models=_ALL,
        guide=Guide(minimum=0, maximum=2**32 - 1, default=0, usual=False),
        description="Number that fixes the randomness: the same request and seed give the same image.",
    ),
    Parameter(
        name="safety_tolerance",
        label="Safety tolerance",
        kind="integer",
        advanced=True,
        models=_ALL,
        minimum=0,
        maximum=6,
        guide=Guide(default=2),
        description="How much moderation lets pass, of prompt and image: 0 is the most strict, 6 the least.",
    ),
    Parameter(
        name="raw",
        label="Raw",
        kind="boolean",
        advanced=True,
        models=_ULTRA,
        guide=Guide(default=False),
        description="Less processed, more natural-looking images.",
    ),
    Parameter(
        name="webhook_url",
        label="Webhook URL",
        kind="url",
        models=_ALL,
        group="delivery",
        description="Address to which the service posts progress and the result.",
    ),
    Parameter(
        name="webhook_secret",
        label="Webhook secret",
        kind="secret",
        models=_ALL,
        group="delivery",
        description="Sent back by the service in the header x-webhook-secret, so that a receiver knows who calls.",
    ),
)

_MODEL_BY_NAME = MappingProxyType({item.name: item for item in MODELS})
_BY_NAME = MappingProxyType({parameter.name: parameter for parameter in PARAMETERS})


def parameter(name: str) -> Parameter:
    """Return the parameter of this wire name. Raises KeyError when there is none."""
    return _BY_NAME[name]


def model(name: str) -> Model:
    """Return the model of this name. Raises KeyError when there is none."""
    return _MODEL_BY_NAME[name]


def allowed(item: Parameter) -> str:
    """Say what a parameter accepts, in words: "a whole number from 256 to 1440"."""
    if item.choices:
        return ", ".join(item.choices)
    return _WORDS[item.kind] + _span(item)


_WORDS: Mapping[Kind, str] = MappingProxyType(
    {
        "text": "text, not empty",
        "integer": "a whole number",
        "number": "a number",
        "boolean": "true or false",
        "ratio": "width:height in whole numbers, from 21:9 to 9:21",
        "image": "an image file (PNG, JPEG, WebP, …) of at most 50 megapixels",
        "url": "an http or https address",
        "secret": "text, not empty",
    }
)


def _span(item: Parameter) -> str:
    if item.kind == "ratio" or item.minimum is None or item.maximum is None:
        return ""
    return f" from {item.minimum:g} to {item.maximum:g}"


def models_in_words(item: Parameter) -> str:
    """Say which models take a parameter: "every model", or their names."""
    return "every model" if item.universal else " and ".join(item.models)


def guide_in_words(item: Parameter) -> str:
    """Say what upstream documents beyond the page, or nothing."""
    guide = item.guide
    words = []
    if guide.minimum is not None and guide.maximum is not None:
        words.append(f"usual range {guide.minimum:.10g} to {guide.maximum:.10g}")
    if guide.default is not None and guide.usual:
        words.append(f"usual value {str(guide.default).lower()}")
    words.extend(f"{value:g} on {model}" for model, value in guide.defaults.items())
    sentence = (", ".join(words) + "." if words else "").capitalize()
    return " ".join(part for part in (sentence, guide.note) if part)

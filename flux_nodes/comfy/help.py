"""Makes the help page of each node, in every language, and the English texts that ComfyUI's locales begin with.

`python -m flux_nodes.comfy.help` writes the pages where ComfyUI looks for them: `web/docs/NODE/LANGUAGE.md`
and, in English, `web/docs/NODE.md` for all other languages. Of `locales/en` it writes the files that are made:
`nodeDefs.json` from the faces of the nodes, `main.json` and `settings.json` from the words of the web extension. Each
`help.json`, and the other languages' files, are written by hand.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.catalog import MODELS, PARAMETERS
from ..nodes import NODES
from ..nodes.contact_sheet import SOCKETS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..nodes import Input, Node

    Texts = Mapping[str, Any]

ROOT = Path(__file__).resolve().parents[2]
WEB = Path(__file__).with_name("web")
LOCALES = ROOT / "locales"
LANGUAGES = ("en", "zh", "ja", "ko", "fr", "de", "es", "ru")

_CONTROL = "control_after_generate"
"""The widget that ComfyUI's frontend adds behind a seed."""


def files() -> dict[Path, str]:
    """Make every file that is made, by its place."""
    made = {LOCALES / "en" / name: _as_file(texts) for name, texts in english().items()}
    for language in LANGUAGES:
        defs = english()["nodeDefs.json"] if language == "en" else texts(language, "nodeDefs")
        for node in NODES:
            text = page(node, defs[node.id], texts(language, "help"))
            made.update(dict.fromkeys(_places(node, language), text))
    return made


def english() -> dict[str, Texts]:
    """Make the English files of ComfyUI's locales that follow from code, by their names."""
    return {
        "nodeDefs.json": {node.id: _definition(node) for node in NODES},
        "main.json": {
            "nodeCategories": {node.category: node.category for node in NODES},
            "settingsCategories": {heading: heading for heading in _headings()},
            "fluxNodes": words(),
        },
        "settings.json": {name.replace(".", "_"): {"name": label, "tooltip": tip} for name, label, tip in _settings()},
    }


def words() -> dict[str, str]:
    """Read what the web extension says in English: the lines `key: "text",` of its words.js."""
    source = (WEB / "words.js").read_text("utf-8")
    table = source[source.index("ENGLISH") : source.index("});")]
    return {key: json.loads(text) for key, text in re.findall(r'^  (\w+):\s*("(?:[^"\\]|\\.)*")', table, re.M)}


def _settings() -> list[tuple[str, ...]]:
    """Read the id, name and tooltip of each setting in the web extension's settings.js."""
    source = (WEB / "settings.js").read_text("utf-8")
    entries = re.findall(r'\bid: "(FluxNodes\.[^"]+)",(.*?)\btype:', source, re.S)
    return [(name, *re.findall(r'\b(?:name|tooltip): "([^"]+)"', entry)) for name, entry in entries]


def _headings() -> dict[str, None]:
    """Read under which headings ComfyUI's dialog shows them: the first two words of each category."""
    source = (WEB / "settings.js").read_text("utf-8")
    found = re.findall(r'category: \["([^"]+)", "([^"]+)", "[^"]+"\]', source)
    return dict.fromkeys(heading for headings in found for heading in headings)


def texts(language: str, name: str) -> Any:
    """Read one file of a language."""
    return json.loads((LOCALES / language / f"{name}.json").read_text("utf-8"))


def _as_file(content: Texts) -> str:
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def _places(node: Node, language: str) -> list[Path]:
    """Where the help panel looks: in the user's language, then, for languages that we do not have, without one."""
    places = [WEB / "docs" / node.id / f"{language}.md"]
    return [*places, WEB / "docs" / f"{node.id}.md"] if language == "en" else places


def _definition(node: Node) -> Texts:
    inputs = {item.name: {"name": item.label, "tooltip": item.tooltip} for item in node.inputs}
    if any(item.seed_control for item in node.inputs):
        inputs[_CONTROL] = {"name": "control after generate"}
    outputs = {str(at): {"name": item.label, "tooltip": item.tooltip} for at, item in enumerate(node.outputs)}
    return {"display_name": node.label, "description": node.description, "inputs": inputs, "outputs": outputs}


def page(node: Node, defs: Texts, prose: Texts) -> str:
    """Write a node's help page, as Markdown: `defs` are its texts in a language, `prose` that language's help.json.

    ComfyUI's help panel is some 250 pixels wide: what would be the row of a table stands below each other.
    """
    said, about = prose["page"], prose["nodes"][node.id]
    parts = [
        f"# {defs['display_name']}",
        defs["description"],
        f"![{defs['display_name']}](pictures/{node.id}.webp)",
        about["about"],
        *_inputs(node, defs, said),
        *(_models(prose) if node.paid else ()),
        *_outputs(node, defs, said),
        f"## {said['tips']}",
        "\n".join(f"- {tip}" for tip in about["tips"]),
    ]
    return "\n\n".join(parts) + "\n"


def _inputs(node: Node, defs: Texts, said: Texts) -> Iterator[str]:
    if node.inputs:
        yield f"## {said['inputs']}"
    for item in _without_repetition(node.inputs):
        told = defs["inputs"][item.name]
        yield _entry(_heading(told["name"], item.name), told["tooltip"], f"*{_values(item, said)}*")


def _entry(*lines: str) -> str:
    """Write lines below each other; a backslash is Markdown's line break."""
    return "\\\n".join(lines)


def _heading(label: str, name: str) -> str:
    last = f" … `{name[:-1]}{SOCKETS}`" if name.endswith("_1") else ""
    return f"**{label}** `{name}`{last}"


def _without_repetition(inputs: Sequence[Input]) -> list[Input]:
    """Drop numbered inputs but the first: image_2 is what image_1 is."""
    return [item for item in inputs if not re.fullmatch(r"\w+_(?!1$)\d+", item.name)]


def _values(item: Input, said: Texts) -> str:
    """Say the type or the choices, the range, and the default."""
    parts = [", ".join(item.choices) or said["types"]["recent" if item.recent else item.type]]
    if item.minimum is not None and item.maximum is not None:
        parts.append(f"{item.minimum:.10g} – {item.maximum:.10g}")
    if item.default not in (None, ""):
        parts.append(f"{said['default']} {_default(item.default, said)}")
    elif item.optional:
        parts.append(said["optional"])
    return " · ".join(parts)


def _default(value: object, said: Texts) -> str:
    if isinstance(value, bool):
        return str(said["on"] if value else said["off"])
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _models(prose: Texts) -> Iterator[str]:
    """Tell the models, what one generation costs, and the parameters that each takes and not every one does."""
    said = prose["page"]
    yield f"## {said['models']}"
    yield said["only"]
    some = [item for item in PARAMETERS if item.group == "picture" and not item.universal]
    for model in MODELS:
        taken = ", ".join(f"`{item.name}`" for item in some if item.taken_by(model.name))
        lines = [f"**{model.name}** · {said['credits']}: {model.credits:g}", prose["models"][model.name]]
        yield _entry(*lines, *([f"{said['also']}: {taken}"] if taken else []))


def _outputs(node: Node, defs: Texts, said: Texts) -> Iterator[str]:
    yield f"## {said['outputs']}"
    for at, item in enumerate(node.outputs):
        told = defs["outputs"][str(at)]
        kind = said["types"][item.type] + (said["list"] if item.is_list else "")
        yield _entry(_heading(told["name"], item.name), told["tooltip"], f"*{kind}*")


def main() -> None:
    """Write every file that is made, and remove pages of nodes or languages that are no more."""
    made = files()
    for stale in set((WEB / "docs").rglob("*.md")) - set(made):
        stale.unlink()
    for file, text in made.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8", newline="\n")


if __name__ == "__main__":
    main()

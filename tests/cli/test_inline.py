from __future__ import annotations

import re
from base64 import b64decode
from io import BytesIO

import pytest
from PIL import Image

from flux_nodes.cli.inline import picture, protocol


@pytest.mark.parametrize(
    ("environ", "spoken"),
    [
        ({}, None),
        ({"TERM": "xterm-256color"}, None),
        ({"KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM_PROGRAM": "ghostty"}, "kitty"),
        ({"TERM_PROGRAM": "iTerm.app"}, "iterm2"),
        ({"TERM_PROGRAM": "WezTerm"}, "iterm2"),
        ({"TERM_PROGRAM": "Apple_Terminal"}, None),
        ({"KITTY_WINDOW_ID": "1", "TMUX": "/run/tmux"}, None),
        ({"TERM_PROGRAM": "iTerm.app", "TERM": "screen-256color"}, None),
    ],
)
def test_terminals_that_show_pictures_are_known_by_their_environment(
    environ: dict[str, str], spoken: str | None
) -> None:
    assert protocol(environ) == spoken


def image_file() -> bytes:
    target = BytesIO()
    Image.effect_noise((1440, 720), 80).convert("RGB").save(target, "PNG")
    return target.getvalue()


def test_kitty_gets_a_small_png_in_chunks() -> None:
    chunks = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", picture(image_file(), "kitty"))
    assert all(len(text) <= 4096 for _, text in chunks)
    assert "a=T" in chunks[0][0]
    assert "f=100" in chunks[0][0]
    assert [keys.rpartition("m=")[2] for keys, _ in chunks] == ["1"] * (len(chunks) - 1) + ["0"]
    shown = Image.open(BytesIO(b64decode("".join(text for _, text in chunks))))
    assert (shown.format, shown.size) == ("PNG", (640, 320))


def test_iterm_gets_a_small_image_and_its_size() -> None:
    match = re.fullmatch(r"\x1b\]1337;File=([^:]*):([^\x07]*)\x07", picture(image_file(), "iterm2"))
    assert match is not None
    data = b64decode(match[2])
    assert "inline=1" in match[1]
    assert f"size={len(data)}" in match[1]
    assert max(Image.open(BytesIO(data)).size) == 640

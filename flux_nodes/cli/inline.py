"""Pictures inside the terminal, where it can show them.

Sources: kitty's documentation, "Terminal graphics protocol" (transmission in chunks of 4096 bytes, `a=T`, `f=100`);
iTerm2's documentation, "Inline Images Protocol" (`OSC 1337 ; File=`).
"""

from __future__ import annotations

import base64
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from ..core.errors import InvalidImage
from .screen import is_terminal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

Protocol = Literal["kitty", "iterm2"]

_CHUNK = 4096
_PIXELS = 640
"""The longest side of what is sent to the terminal: enough to judge a picture, quick through ssh."""

_BY_PROGRAM: Mapping[str, Protocol] = {"iTerm.app": "iterm2", "WezTerm": "iterm2", "ghostty": "kitty"}


def protocol(environ: Mapping[str, str] | None = None) -> Protocol | None:
    """Tell how the terminal of this environment takes pictures; None when it does not.

    Inside tmux or screen none is used: they keep the pictures to themselves.
    """
    variables = os.environ if environ is None else environ
    if variables.get("TMUX") or variables.get("TERM", "").startswith(("tmux", "screen")):
        return None
    if variables.get("KITTY_WINDOW_ID") or variables.get("TERM") in {"xterm-kitty", "xterm-ghostty"}:
        return "kitty"
    return _BY_PROGRAM.get(variables.get("TERM_PROGRAM", ""))


def show_pictures(files: Iterable[Path]) -> None:
    """Show the pictures on stdout, if it is a terminal that can."""
    spoken = protocol()
    if spoken is None or not is_terminal(sys.stdout):
        return
    for file in files:
        with suppress(InvalidImage):  # what cannot be opened here is named all the same
            sys.stdout.write(picture(file.read_bytes(), spoken) + "\n")
    sys.stdout.flush()


def picture(data: bytes, spoken: Protocol) -> str:
    """Return an image file, made small, as the escape sequences of a protocol. Raises InvalidImage."""
    from ..core import images  # numpy and Pillow load when a picture is drawn

    if spoken == "kitty":
        return _kitty(images.image_prompt(images.decode(data)[0], longest=_PIXELS))
    return _iterm2(images.preview(data, longest=_PIXELS))


def _kitty(png: bytes) -> str:
    text = base64.b64encode(png).decode()
    chunks = [text[at : at + _CHUNK] for at in range(0, len(text), _CHUNK)]
    last = len(chunks) - 1
    # q=2 keeps the terminal from answering into the person's next prompt
    return "".join(
        f"\x1b_G{'a=T,f=100,q=2,' if at == 0 else ''}m={int(at < last)};{chunk}\x1b\\"
        for at, chunk in enumerate(chunks)
    )


def _iterm2(jpeg: bytes) -> str:
    text = base64.b64encode(jpeg).decode()
    return f"\x1b]1337;File=inline=1;preserveAspectRatio=1;size={len(jpeg)}:{text}\x07"

"""What a process says, kept as it comes, so that a test can wait for words instead of for seconds."""

from __future__ import annotations

import threading
from time import monotonic
from typing import IO


class Log:
    """Reads a stream to its end in a thread of its own."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._lines: list[str] = []
        self._ended = False
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, name="log", daemon=True)
        self._reader.start()

    def text(self) -> str:
        """Give all that was said so far."""
        with self._news:
            return "".join(self._lines)

    def wait_for(self, words: str, *, within: float) -> bool:
        """Wait until the words are said; False if the stream ends, or the seconds pass, without them."""
        deadline = monotonic() + within
        with self._news:
            while not any(words in line for line in self._lines):
                left = deadline - monotonic()
                if self._ended or left <= 0:
                    return False
                self._news.wait(left)
        return True

    def close(self) -> None:
        """Read what is left of an ended process's stream and close it."""
        self._reader.join(timeout=10)
        self._stream.close()

    def _read(self) -> None:
        for line in self._stream:
            with self._news:
                self._lines.append(line)
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

"""News for all worker processes of one server: a file that each appends to and all read.

The file begins with a mark, random bytes that every writer changes after its line. Readers map
them into memory, so that to ask whether there is news costs no call of the system.
"""

from __future__ import annotations

import json
import mmap
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, TypeAlias

from app.catalog.configuration import Texts

# The variable by which a server tells its workers where the file is.
BULLETIN: Final = "SLUICE_BULLETIN"

_MARK_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class NewTexts:
    """From now on the operator's files are taken to say this."""

    texts: Texts


@dataclass(frozen=True, slots=True)
class NewGeneration:
    """Nothing that was read of this dataset is to be used any more; it is opened anew."""

    dataset: str
    generation: str


News: TypeAlias = NewTexts | NewGeneration


class Bulletin:
    """The news of one server, oldest first; the first is what its operator's files say.

    Any process may post and read. Lines are appended whole (POSIX, ``O_APPEND``), so no lock is
    needed; the file is meant for a local disk.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_APPEND)
        try:
            self._mark = mmap.mmap(self._file, _MARK_BYTES)
        except BaseException:
            os.close(self._file)
            raise
        self._seen = bytes(_MARK_BYTES)
        self._read = _MARK_BYTES

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self._mark.close()
        os.close(self._file)

    @classmethod
    def begin(cls, path: Path, texts: Texts) -> None:
        """Make the file, with `texts` as its first news."""
        path.write_bytes(secrets.token_bytes(_MARK_BYTES))
        with cls(path) as bulletin:
            bulletin.post(NewTexts(texts))

    @property
    def has_news(self) -> bool:
        """Whether something was posted since the last `take`."""
        return self._mark[:] != self._seen

    def post(self, news: News) -> None:
        """Tell every process, this one too."""
        os.write(self._file, json.dumps(_written(news)).encode() + b"\n")
        # After the line: who sees the new mark finds the line.
        self._mark[:] = secrets.token_bytes(_MARK_BYTES)

    def renew(self, dataset_id: str) -> None:
        """Have every process open this dataset anew, without any chunk that it read before."""
        # At random: it must not come again after a restart, since tags are made of it.
        self.post(NewGeneration(dataset_id, secrets.token_hex(8)))

    def unread(self) -> tuple[list[News], Reading]:
        """What was posted since the last `take`, and what to `take` once it was acted on."""
        seen = self._mark[:]
        size = os.fstat(self._file).st_size
        data = os.pread(self._file, size - self._read, self._read)
        whole = data[: data.rfind(b"\n") + 1]
        news = [_news(json.loads(line)) for line in whole.splitlines()]
        return news, Reading(seen, self._read + len(whole))

    def take(self, reading: Reading) -> None:
        """Let what `unread` brought be read."""
        self._seen, self._read = reading.mark, reading.end


@dataclass(frozen=True, slots=True)
class Reading:
    """How far a bulletin was read: the mark before, and the end of the last whole line."""

    mark: bytes
    end: int


def _written(news: News) -> list[str]:
    match news:
        case NewTexts(texts):
            return ["texts", texts.catalog, texts.keys]
        case NewGeneration(dataset, generation):
            return ["generation", dataset, generation]


def _news(written: list[str]) -> News:
    match written:
        case ["texts", catalog, keys]:
            return NewTexts(Texts(catalog, keys))
        case ["generation", dataset, generation]:
            return NewGeneration(dataset, generation)
        case _:
            raise ValueError(f"not a line of a bulletin: {written[:1]}")

"""News for all worker processes of one server: a file that each appends to and all read.

The file begins with a mark, random bytes that every writer changes after its line. Readers map
them into memory, so that to ask whether there is news costs no call of the system.
"""

from __future__ import annotations

import fcntl
import json
import logging
import mmap
import os
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final, Self, TypeAlias
from zlib import compress, decompress

from sluice.errors import CatalogError

from ..errors import NotTold
from .configuration import FileTexts
from .listings import NewNames

log = logging.getLogger(__name__)

_MARK_BYTES: Final = 8
# When to try again what there was no room for.
_FULL_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class NewTexts:
    """From now on the operator's files are taken to say this."""

    texts: FileTexts


@dataclass(frozen=True, slots=True)
class NewEpoch:
    """Nothing that was read of this dataset is to be used any more; it is opened anew."""

    dataset: str
    epoch: str


@dataclass(frozen=True, slots=True)
class ReloadAsked:
    """The operator's files are to be read anew, by the process that lists globs."""


News: TypeAlias = NewTexts | NewEpoch | NewNames | ReloadAsked


class ControlLog:
    """The news of one server, oldest first; the first is what its operator's files say.

    Any process may post and read. `file` is the descriptor of a file in memory or on a local disk.
    Lines are appended whole (POSIX, ``O_APPEND``), so no lock is needed. What is left of a line for
    which there was no room is passed over. New epochs are `kept` for servers to come, if anywhere.
    """

    def __init__(self, file: int, kept: KeptEpochs | None = None) -> None:
        self._kept = kept
        self._file = os.dup(file)
        try:
            flags = fcntl.fcntl(self._file, fcntl.F_GETFL)
            fcntl.fcntl(self._file, fcntl.F_SETFL, flags | os.O_APPEND)
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
    def begin(cls, file: int, texts: FileTexts, kept: KeptEpochs | None = None) -> None:
        """Make the empty file a control log: `texts` are its first news, then epochs of before."""
        epochs = {} if kept is None else kept.read()
        os.pwrite(file, secrets.token_bytes(_MARK_BYTES), 0)
        with cls(file) as control_log:
            control_log.post(NewTexts(texts))
            for dataset_id, epoch in epochs.items():
                control_log.post(NewEpoch(dataset_id, epoch))

    @property
    def has_news(self) -> bool:
        """Whether something was posted since the last `take`."""
        return self._mark[:] != self._seen

    def post(self, news: News) -> None:
        """Tell every process, this one too.

        Raises NotTold where there is no room for it; then nobody is told.
        """
        # The first line feed ends what another writer could not write to its end.
        line = b"\n" + json.dumps(_written(news)).encode() + b"\n"
        try:
            written = os.write(self._file, line)
        except OSError as error:
            raise _not_told(error.strerror or "it cannot be written") from error
        if written < len(line):
            raise _not_told("there is no room for all of it")
        # After the line: who sees the new mark finds the line.
        self._mark[:] = secrets.token_bytes(_MARK_BYTES)

    def invalidate(self, dataset_id: str) -> None:
        """Have every process open this dataset anew, without any chunk that it read before.

        Blocks while the epoch is written to a disk. Raises NotTold; then everything is as before.
        """
        if self._kept is None:
            self.post(_new_epoch(dataset_id))
            return
        with self._kept.changed(_new_epoch(dataset_id)) as news:
            self.post(news)

    def gone(self, dataset_id: str) -> NewEpoch:
        """As `invalidate`, at once; what is returned is to be kept (see `keep`)."""
        news = _new_epoch(dataset_id)
        self.post(news)
        return news

    def keep(self, news: NewEpoch) -> None:
        """Write it to a disk for servers to come; raises NotTold where that cannot be."""
        if self._kept is not None:
            with self._kept.changed(news):
                pass

    def unread(self) -> tuple[list[News], LogPosition]:
        """What was posted since the last `take`, and what to `take` once it was acted on."""
        seen = self._mark[:]
        whole = self._lines(self._read)
        return list(_readable(whole)), LogPosition(seen, self._read + len(whole))

    def take(self, position: LogPosition) -> None:
        """Let what `unread` brought be read."""
        self._seen, self._read = position.mark, position.end

    def latest_texts(self) -> FileTexts | None:
        """What the operator's files are taken to say now; any thread may ask."""
        texts = [n.texts for n in _readable(self._lines(_MARK_BYTES)) if isinstance(n, NewTexts)]
        return texts[-1] if texts else None

    def _lines(self, begin: int) -> bytes:
        """The whole lines from this position on."""
        size = os.fstat(self._file).st_size
        data = os.pread(self._file, size - begin, begin)
        return data[: data.rfind(b"\n") + 1]


def _new_epoch(dataset_id: str) -> NewEpoch:
    # At random: none comes twice, whatever becomes of the file that keeps them.
    return NewEpoch(dataset_id, secrets.token_hex(8))


@dataclass(frozen=True, slots=True)
class KeptEpochs:
    """The last epoch of each dataset that was ever invalidated, as a JSON object in a file.

    Tags are made of them: without them a tag of before would be valid again after a restart. The
    file is there once there is one, and replaced as a whole. Servers may share it.
    """

    path: Path

    @classmethod
    def of(cls, catalog: Path, chosen: Path | None) -> Self:
        """In the file that was chosen, or else in one beside the catalog's."""
        return cls(chosen or catalog.with_name(f"{catalog.name}.refreshed"))

    def read(self) -> dict[str, str]:
        """The epochs by dataset; raises CatalogError for a file that is none of ours."""
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise CatalogError(f"{self.path}: it cannot be read: {error.strerror}") from None
        except ValueError:
            found = None
        if not (isinstance(found, dict) and all(isinstance(one, str) for one in found.values())):
            raise CatalogError(
                f"{self.path}: it does not say which datasets were refreshed. Remove it, and tags"
                " of before these refreshes are valid again"
            )
        return found

    @contextmanager
    def changed(self, news: NewEpoch) -> Iterator[NewEpoch]:
        """Write `news`; no other process writes until the block has told of it.

        Raises NotTold where it cannot be written; then the file is as it was.
        """
        with ExitStack() as stack:
            try:
                folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
                stack.callback(os.close, folder)
                fcntl.flock(folder, fcntl.LOCK_EX)
                self._write({**self.read(), news.dataset: news.epoch})
                os.fsync(folder)
            except OSError as error:
                raise _not_kept(error.strerror or "it cannot be written") from error
            except CatalogError as error:
                raise _not_kept(error.detail) from error
            yield news

    def _write(self, epochs: dict[str, str]) -> None:
        """Put a whole file in the place of the old one."""
        with NamedTemporaryFile(
            "w", dir=self.path.parent, prefix=f".{self.path.name}.", delete=False
        ) as file:
            try:
                json.dump(epochs, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
                os.replace(file.name, self.path)
            except BaseException:
                os.unlink(file.name)
                raise


def _not_kept(reason: str) -> NotTold:
    return NotTold(
        "That the dataset is refreshed cannot be kept for after a restart, and everything stays as"
        f" it was (SLUICE_REFRESHES_FILE says where): {reason}.",
        retry_after=_FULL_SECONDS,
    )


def _not_told(reason: str) -> NotTold:
    return NotTold(
        f"The worker processes cannot be told, and everything stays as it was: {reason}.",
        retry_after=_FULL_SECONDS,
    )


@dataclass(frozen=True, slots=True)
class LogPosition:
    """How far a control log was read: the mark before, and the end of the last whole line."""

    mark: bytes
    end: int


def _written(news: News) -> list[str]:
    match news:
        case NewTexts(texts):
            return ["texts", _packed([texts.catalog, texts.keys])]
        case NewEpoch(dataset, epoch):
            return ["epoch", dataset, epoch]
        case NewNames(place, added, removed):
            return ["names", place, _packed([added, removed])]
        case ReloadAsked():
            return ["reload"]


def _packed(values: object) -> str:
    """Compressed: all that was ever posted stays, for processes that start late."""
    return b64encode(compress(json.dumps(values).encode())).decode()


def _unpacked(packed: str) -> list[Any]:
    values: list[Any] = json.loads(decompress(b64decode(packed)))
    return values


def _readable(lines: bytes) -> Iterator[News]:
    """The news in these lines, without what is left of lines that were not written to their end."""
    for line in lines.splitlines():
        try:
            written = json.loads(line) if line else None
        except ValueError:
            log.warning("a piece of news that could not be written to its end is passed over")
            continue
        if written is not None:
            yield _news(written)


def _news(written: list[str]) -> News:
    match written:
        case ["texts", packed]:
            return NewTexts(FileTexts(*_unpacked(packed)))
        case ["epoch", dataset, epoch]:
            return NewEpoch(dataset, epoch)
        case ["names", place, packed]:
            added, removed = _unpacked(packed)
            return NewNames(place, tuple(added), tuple(removed))
        case ["reload"]:
            return ReloadAsked()
        case _:
            raise ValueError(f"not a line of a control log: {written[:1]}")

"""One dataset of a catalog: what its entry says, what ids there are, and what nobody else may read.

Libraries put option values and URLs into their errors, and errors end up in logs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from hashlib import blake2b
from operator import itemgetter
from typing import Annotated, Final, Literal, TypeAlias
from urllib.parse import parse_qsl, quote, urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool

from sluice.aliases import Document
from sluice.errors import CatalogError, SluiceError, StoreError
from sluice.store.addresses import Engine, check_url, split_url

DATASET_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
ID_RULE: Final = (
    "an id is a string of at most 128 letters, digits, '.', '_' and '-', not led by a sign"
)
# Between the id of an entry and the names of a group; an id in a file may have it, too.
GROUP_SIGN: Final = "~"
LONGEST_ID: Final = 256
GROUP_ID: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._~-]{{0,{LONGEST_ID - 1}}}")
# What stands for all groups of a hierarchy in the place of one.
EVERY_GROUP: Final = "*"
# `.zarr` and `.zip`, but not the year of `air.2024`.
_EXTENSION: Final = re.compile(r"(?<=[^.])\.[A-Za-z][A-Za-z0-9]*\Z")
_MOST_PLACES: Final = 10_000
_PLACE_NAME: Final = re.compile(r"[^\x00-\x1f\x7f/\\]{1,100}")
# Printable ASCII with no blank at either end, which a header would lose (RFC 9110, section 5.5).
_HEADER_VALUE = r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$"


def stem_of(name: str) -> str:
    """The name of a store without its extension, which begins with a letter."""
    return _EXTENSION.sub("", name)


def _public_or_names(value: object) -> object:
    names = isinstance(value, list) and value and all(isinstance(name, str) for name in value)
    if not (names or value in ("public", None)):
        raise ValueError("expected 'public' or a list with the names of keys")
    return value


Access: TypeAlias = Annotated[
    Literal["public"] | tuple[str, ...], BeforeValidator(_public_or_names)
]


def _truth_or_truths(value: object) -> object:
    truths = value.values() if isinstance(value, Mapping) else (value,)
    if not all(isinstance(truth, bool) for truth in truths):
        raise ValueError("expected true, false, or a mapping of names to true or false")
    return value


def _url_or_fields(value: object) -> object:
    return {"url": value} if isinstance(value, str) else value


DecodeTimes: TypeAlias = Annotated[bool | Mapping[str, bool], BeforeValidator(_truth_or_truths)]


# The standard doors; `app.doors` has a folder for each.
DoorName: TypeAlias = Literal["dap", "edr", "zarr"]


class CopyPlace(BaseModel):
    """Where a copy of a dataset is; what is None is as the dataset has it, or as it is found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(min_length=1)
    name: str | None = Field(default=None, min_length=1, max_length=100)
    storage_options: Document | None = None
    engine: Engine | None = None
    group: str | None = None

    @property
    def name_in_use(self) -> str:
        """Its name, else that of its store without the extension."""
        path = self.url.partition("?")[0] if "://" in self.url else self.url
        return self.name or stem_of(path.rstrip("/").rpartition("/")[2]) or "copy"

    def __repr_args__(self) -> Iterable[tuple[str | None, object]]:
        return [("name", self.name)]


def _named_places(value: object) -> object:
    if not isinstance(value, Mapping) or len(value) > _MOST_PLACES:
        raise ValueError(f"expected at most {_MOST_PLACES} names, each with [longitude, latitude]")
    for name, place in value.items():
        if not isinstance(name, str) or not _PLACE_NAME.fullmatch(name):
            raise ValueError("a place's name has at most 100 letters, and no slash among them")
        numbers = isinstance(place, list | tuple) and len(place) == 2
        if not numbers or not all(type(one) in (int, float) for one in place):
            raise ValueError(f"expected [longitude, latitude] for {name}")
        lon, lat = place
        if not (-180 <= lon <= 360 and -90 <= lat <= 90):
            raise ValueError(f"no place has the longitude and latitude of {name}")
    return value


# Names of places, and where they are: longitudes and latitudes in degrees.
Places: TypeAlias = Annotated[Mapping[str, tuple[float, float]], BeforeValidator(_named_places)]
CopyPlaces: TypeAlias = tuple[Annotated[CopyPlace, BeforeValidator(_url_or_fields)], ...]


class DatasetEntry(BaseModel):
    """One dataset of the catalog: where its store is and how to open it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    url: str = Field(min_length=1)
    storage_options: Document = Field(default_factory=dict)
    engine: Engine = "s3fs"
    group: str | None = None
    zarr_format: Literal[2, 3] | None = None
    consolidated: StrictBool | None = None
    drop_variables: tuple[str, ...] = ()
    # Whether numbers with time units become times: of all variables, or by their names.
    decode_times: DecodeTimes = True
    reference_roots: tuple[str, ...] = ()
    # Copies of it in other chunks, which answer where less of them is decoded.
    also: CopyPlaces = ()
    title: str | None = None
    description: str | None = None
    license: str | None = None
    attribution: str | None = None
    open: Literal["on_demand", "at_start"] = "on_demand"
    cache_control: str | None = Field(default=None, pattern=_HEADER_VALUE)
    rewritten: bool = False
    refresh_seconds: float | None = Field(default=60.0, ge=0, allow_inf_nan=False)
    refresh: Literal["background", "before"] = "background"
    settle_seconds: float = Field(default=5.0, ge=0, allow_inf_nan=False)
    # The standard doors that serve it; None: all.
    doors: tuple[DoorName, ...] | None = None
    # Places that people ask for by their names.
    places: Places = Field(default_factory=dict)
    # Who may read it: anybody, the holders of these keys, or (None) of any key if there are keys.
    access: Access | None = None

    @property
    def has_groups(self) -> bool:
        """Whether it stands for all groups of a hierarchy (``group: "*"``)."""
        return self.group == EVERY_GROUP

    @property
    def summary(self) -> Mapping[str, str | None]:
        """What ``/datasets`` says of it: the id, the title, and what else is set."""
        more = {name: getattr(self, name) for name in ("description", "license", "attribution")}
        given = {name: text for name, text in more.items() if text is not None}
        pending = {"groups": "pending"} if self.has_groups else {}
        return {"id": self.id, "title": self.title, **given, **pending}

    def __repr_args__(self) -> Iterable[tuple[str | None, object]]:
        # Neither options nor URLs: they may hold secrets, and reprs end up in logs.
        return [("id", self.id), ("engine", self.engine)]


class GroupEntry(DatasetEntry):
    """One group of the hierarchy that another entry names, whose id is `hierarchy`.

    Beside its own coordinates it has those that it inherits from the groups it lies in.
    """

    hierarchy: str

    @property
    def levels(self) -> tuple[str, ...]:
        """The paths of the groups that it lies in, the root (``""``) first, and its own."""
        names = self.group.split("/") if self.group else []
        return tuple("/".join(names[:depth]) for depth in range(len(names) + 1))


def copy_entry(entry: DatasetEntry, place: CopyPlace) -> DatasetEntry:
    """How a copy is read: as the dataset itself where its address has the same protocol."""
    alike = split_url(place.url)[0] == split_url(entry.url)[0]
    inherited = entry.storage_options if alike else {}
    options = inherited if place.storage_options is None else place.storage_options
    engine = place.engine or (entry.engine if alike else "s3fs")
    changes = {"url": place.url, "storage_options": options, "engine": engine, "also": ()}
    of_store = {"group": place.group, "zarr_format": None, "consolidated": None}
    return DatasetEntry.model_construct(**{**dict(entry), **changes, **of_store})


def check_copies(entry: DatasetEntry) -> None:
    """Raise CatalogError where what is said of copies cannot be meant."""
    if not entry.also:
        return
    why = None
    if entry.rewritten:
        why = "of chunks that are rewritten in place no copy is known to be one: leave one of both"
    elif entry.has_groups:
        why = 'a copy is one of a single group: give that group an entry of its own (group: "land")'
    names = [place.name_in_use for place in entry.also]
    if twice := next((name for name in names if names.count(name) > 1), None):
        why = f"two copies are called {twice!r}: give one of them another name"
    if why is not None:
        raise CatalogError(why, field="also")
    for place in entry.also:
        other = copy_entry(entry, place)
        try:
            check_url(other.url, other.storage_options, other.engine)
        except CatalogError as error:
            raise CatalogError(str(error), field="also") from None


def fingerprint(*values: object) -> str:
    """One name of 32 signs for these values; shows no secret.

    In which order a mapping has its names does not matter.
    """
    return blake2b(repr(_in_order(values)).encode(), digest_size=16).hexdigest()


def _in_order(value: object) -> object:
    match value:
        case Mapping():
            # By their spellings: YAML has names of other types than text.
            pairs = [(repr(name), _in_order(inner)) for name, inner in value.items()]
            return sorted(pairs, key=itemgetter(0))
        case list() | tuple():
            return [_in_order(inner) for inner in value]
        case _:
            return value


# Options whose values help to find a mistake and open no door; all others are taken for secrets.
_HARMLESS: Final = frozenset(
    {
        "account_name",
        "addressing_style",
        "compression",
        "default_cache_type",
        "endpoint_url",
        "mode",
        "profile",
        "project",
        "region_name",
        "remote_protocol",
        "signature_version",
    }
)
# Shorter texts are no secrets, and hiding them would tear words apart.
_SHORTEST: Final = 4


def secrets_of(entry: DatasetEntry) -> tuple[str, ...]:
    """The texts in `entry` that nobody else may read, in each spelling of a URL; longest first."""
    found = {text.strip() for text in _secrets(entry)}
    spelled = {form for text in found for form in (text, quote(text), quote(text, safe=""))}
    return tuple(sorted((s for s in spelled if len(s) >= _SHORTEST), key=len, reverse=True))


def _secrets(entry: DatasetEntry) -> Iterator[str]:
    yield from _in_url(entry.url)
    yield from _in_options(entry.storage_options, "")
    for place in entry.also:
        yield from _in_url(place.url)
        yield from _in_options(place.storage_options, "")


def _in_options(value: object, name: str) -> Iterator[str]:
    match value:
        case str() if "://" in value or name == "fo":
            yield from _in_url(value)
        case str() if name not in _HARMLESS:
            yield value
        case Mapping() if name != "fo":
            for inner_name, inner in value.items():
                yield from _in_options(inner, str(inner_name))
        case list():
            for inner in value:
                yield from _in_options(inner, name)
        case _:
            pass


def _in_url(url: str) -> Iterator[str]:
    """The password of `url` and its query, whole and by its parts."""
    try:
        parts = urlsplit(url)
    except ValueError:
        yield url
        return
    yield from filter(None, (parts.password, parts.query))
    yield from (value for _, value in parse_qsl(parts.query))


def redact(text: str, secrets: tuple[str, ...]) -> str:
    """`text` with an ellipsis for each of the `secrets`."""
    for secret in secrets:
        text = text.replace(secret, "…")
    return text


def redact_error(error: Exception, entry: DatasetEntry) -> Exception:
    """`error` itself if it tells no secret of `entry`, else its like that does not.

    The like has no cause: the words of the libraries below told the secret in the first place.
    """
    secrets = secrets_of(entry)
    facts = error.facts if isinstance(error, SluiceError) else {}
    told = [repr(facts), *map(str, _chain(error))]
    if not any(secret in text for secret in secrets for text in told):
        return error
    words = redact(str(error), secrets)
    if not isinstance(error, SluiceError):
        return StoreError(f"{type(error).__name__}: {words}")
    hidden = {n: redact(f, secrets) if isinstance(f, str) else f for n, f in facts.items()}
    return type(error)(words, **hidden)


def bare_error(error: Exception) -> Exception:
    """The error to keep: its causes and the frames that raised it hold all that was read."""
    return copy(error) if isinstance(error, SluiceError) else error.with_traceback(None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """`error`, what it was raised from and what it groups, each once: a chain can be a circle."""
    left: list[BaseException | None] = [error]
    seen: set[int] = set()
    while left:
        link = left.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        left += [link.__cause__, link.__context__]
        if isinstance(link, BaseExceptionGroup):
            left += link.exceptions

"""Codecs as array metadata names them: numbers that are texts, and packages that are not here.

A codec that nothing here can decode is refused while its array is parsed: a chunk that comes later
would be taken for damaged, which it is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from sluice.aliases import Document
from sluice.arrays.excerpts import excerpt
from sluice.errors import MetadataError

Codec = dict[str, Any]

_INTEGER: Final = re.compile(r"-?\d{1,18}")
_DECIMAL: Final = re.compile(r"-?\d{1,18}(?:\.\d{1,18})?(?:[eE][+-]?\d{1,3})?")
_DEEPEST: Final = 16
# Options that are counts: numcodecs takes them as they are, and fails on another kind of number
# only when it decodes.
_COUNTS: Final = frozenset(
    {"elementsize", "level", "clevel", "blocksize", "typesize", "acceleration", "format"}
)
# Options by which a chunk is decoded, so that nothing can be read where they are no numbers.
_NEEDED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"shuffle": ("elementsize",), "fixedscaleoffset": ("offset", "scale"), "lzma": ("format",)}
)

# Packages from the Python Package Index that bring codecs of these names, or that begin so.
_PACKAGES: Final = MappingProxyType(
    {
        "zfpy": "zfpy",
        "pcodec": "pcodec",
        "msgpack2": "msgpack",
        "crc32c": "google-crc32c",
        "grib": "kerchunk",
        "fill_hdf_strings": "kerchunk",
        "record_member": "kerchunk",
        "FITSAscii": "kerchunk",
        "FITSVarBintable": "kerchunk",
        "gribberish": "gribberish",
        "cast_value": "cast-value-rs",
    }
)
_PACKAGES_BY_PREFIX: Final = MappingProxyType(
    {"imagecodecs_": "imagecodecs", "gribscan": "gribscan"}
)


def normal_codecs(member: str, codecs: Any) -> list[Codec]:
    """The list of codecs under `member` (see `normal_codec`)."""
    if not isinstance(codecs, list | tuple):
        raise MetadataError(f"its {member} are not a list of codecs")
    return [normal_codec(codec) for codec in codecs]


def normal_codec(codec: Any, depth: int = 0) -> Codec:
    """One codec (v2: ``id`` with its options, v3: ``name`` and ``configuration``) as it is meant.

    Options that are numbers in a text become numbers. Raises MetadataError for what is no codec.
    """
    if isinstance(codec, str):  # the short form of Zarr v3.1, "Extension definition"
        codec = {"name": codec}
    if not isinstance(codec, Mapping) or not isinstance(_name_of(codec), str):
        raise MetadataError("one of its codecs has no name")
    if depth > _DEEPEST:
        raise MetadataError("its codecs are nested too deeply")
    normal = {key: _option(key, option) for key, option in codec.items()}
    configuration = normal.get("configuration")
    if configuration is None:
        normal.pop("configuration", None)
    elif not isinstance(configuration, Mapping):
        raise MetadataError(f"the configuration of its codec {_name_of(codec)!r} is no JSON object")
    else:
        normal["configuration"] = {
            key: [normal_codec(inner, depth + 1) for inner in option]
            if key in ("codecs", "index_codecs") and isinstance(option, list)
            else _option(key, option)
            for key, option in configuration.items()
        }
    return normal


def _name_of(codec: Document) -> Any:
    return codec.get("name") if "name" in codec else codec.get("id")


def _option(key: str, option: Any) -> Any:
    """The option under `key`: a number where it is one, however it is written."""
    number = _number(option)
    if key in _COUNTS and isinstance(number, float) and number.is_integer():
        return int(number)
    return number


def _number(option: Any) -> Any:
    match option:
        case str() if _INTEGER.fullmatch(text := option.strip()):
            return int(text)
        case str() if _DECIMAL.fullmatch(text := option.strip()):
            return float(text)
        case _:
            return option


def _check_options(name: str, options: Document) -> None:
    """Raise MetadataError for options that are no numbers, without which nothing is decoded."""
    for key in options.keys() & _NEEDED.get(name, ()):
        kind, kinds = ("whole number", int) if key in _COUNTS else ("number", (int, float))
        option = options[key]
        if isinstance(option, bool) or not isinstance(option, kinds):
            raise MetadataError(
                f"its codec {name!r} has the option {key} {excerpt(option)}, which is no {kind}"
            )


def codec_documents(document: Document) -> Iterator[Document]:
    """All codecs of a (normal) array, those inside of shards too."""
    before = [*(document.get("filters") or ()), document.get("compressor")]
    for codec in [*before, *(document.get("codecs") or ())]:
        if isinstance(codec, Mapping):
            yield codec
            inner = codec.get("configuration")
            if isinstance(inner, Mapping):
                for member in ("codecs", "index_codecs"):
                    yield from codec_documents({"codecs": inner.get(member)})


def codec_id(codec: Document) -> str:
    """The codec's name as numcodecs has it."""
    return str(codec.get("id") or codec.get("name")).removeprefix("numcodecs.")


def check_codec(codec: Document, zarr_format: int) -> None:
    """Raise MetadataError, which names the package to install, unless `codec` can be decoded."""
    import numcodecs
    from numcodecs.errors import UnknownCodecError
    from zarr.errors import UnknownCodecError as UnknownZarrCodec
    from zarr.registry import get_codec_class

    name = codec_id(codec)
    options = codec if zarr_format == 2 else {**codec.get("configuration", {}), "id": name}
    _check_options(name, options)
    try:
        if zarr_format == 2 or str(codec["name"]).startswith("numcodecs."):
            numcodecs.get_codec(dict(options))
        if zarr_format == 3:
            get_codec_class(str(codec["name"]))
    except (UnknownCodecError, UnknownZarrCodec, ImportError, KeyError):
        raise _not_installed(name) from None
    except (TypeError, ValueError):
        raise MetadataError(f"its codec {name!r} has options that it does not take") from None


def _not_installed(name: str) -> MetadataError:
    package = _PACKAGES.get(name) or next(
        (package for prefix, package in _PACKAGES_BY_PREFIX.items() if name.startswith(prefix)),
        None,
    )
    if package is None:
        return MetadataError(
            f"its codec {name!r} is not known here",
            advice="Install the Python package that brings this codec to numcodecs or zarr, or "
            "name the variable in drop_variables.",
        )
    return MetadataError(
        f"its codec {name!r} needs the Python package {package}, which is not installed here",
        advice=f"Install {package} where Sluice runs, or name the variable in drop_variables.",
    )

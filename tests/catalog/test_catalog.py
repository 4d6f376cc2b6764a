"""The catalog file: what it means, and what is said about a wrong one."""

from __future__ import annotations

import operator
import re
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from app.catalog.catalog import Catalog, load_catalog
from app.catalog.entry import DatasetEntry
from app.errors import UnknownDataset
from sluice.errors import CatalogError

CANARY = "hush-canary"

WHOLE = """
datasets:
  era5:
    url: s3://bucket/era5.zarr
    storage_options: {endpoint_url: "http://127.0.0.1:9000", secret: "hush"}
    engine: obstore
    group: a/b
    zarr_format: 2
    consolidated: false
    drop_variables: [x, y]
    title: ERA5 hourly
    cache_control: "public, max-age=60"
  cube.2-b_c: {url: cube.zarr}
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Catalog]:
    """Writes a catalog file and loads it."""

    def load(text: str, **environment: str) -> Catalog:
        path = tmp_path / "catalog.yaml"
        path.write_text(text, encoding="utf-8")
        return load_catalog(path, environment)

    return load


def refusal(write: Callable[..., Catalog], text: str, **environment: str) -> str:
    with pytest.raises(CatalogError) as caught:
        write(text, **environment)
    assert "\n" not in str(caught.value)
    assert "catalog.yaml" in str(caught.value)
    return str(caught.value)


def test_every_field_is_read(write: Callable[..., Catalog]) -> None:
    """An entry carries exactly what the file says."""
    entry = write(WHOLE).entry("era5")
    assert entry.url == "s3://bucket/era5.zarr"
    assert entry.storage_options == {"endpoint_url": "http://127.0.0.1:9000", "secret": "hush"}
    assert (entry.engine, entry.group, entry.zarr_format) == ("obstore", "a/b", 2)
    assert (entry.consolidated, entry.drop_variables) == (False, ("x", "y"))
    assert (entry.title, entry.cache_control) == ("ERA5 hourly", "public, max-age=60")


def test_an_entry_needs_a_url_alone(write: Callable[..., Catalog]) -> None:
    """All other fields have defaults, and the file's order is kept."""
    catalog = write(WHOLE)
    assert list(catalog.entries) == ["era5", "cube.2-b_c"]
    entry = catalog.entry("cube.2-b_c")
    assert (entry.engine, entry.group, entry.zarr_format, entry.consolidated) == (
        "s3fs",
        None,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("cube.zarr", True),
        ("./deep/cube.zarr", True),
        ("/data/cube.zarr", False),
        ("s3://bucket/cube.zarr", False),
        ("memory://cube", False),
    ],
)
def test_relative_paths_start_at_the_catalog(
    write: Callable[..., Catalog], tmp_path: Path, url: str, local: bool
) -> None:
    """A relative path means the same wherever the server was started; URLs stay as they are."""
    entry = write(f"datasets: {{a: {{url: '{url}'}}}}").entry("a")
    assert entry.url == (str(tmp_path / url) if local else url)


def test_a_relative_reference_starts_at_the_catalog(
    write: Callable[..., Catalog], tmp_path: Path
) -> None:
    """The reference document of a kerchunk dataset is found beside the catalog as well."""
    text = "datasets: {a: {url: 'reference://', storage_options: {fo: refs.json}}}"
    assert write(text).entry("a").storage_options["fo"] == str(tmp_path / "refs.json")


def test_secrets_stay_out_of_reprs_and_errors(write: Callable[..., Catalog]) -> None:
    """Neither an entry's repr nor an error about it shows the storage options' values."""
    assert "hush" not in repr(write(WHOLE))
    with_password = write("datasets: {a: {url: 'http://u:${PASSWORD}@h/x'}}", PASSWORD="hush")
    shown = [f(x) for f in (repr, str) for x in (with_password, with_password.entry("a"))]
    assert "hush" not in "".join(shown)
    assert "hush" not in refusal(write, "datasets: {a: {url: b, storage_options: hush}}")


def test_every_string_may_come_from_the_environment(write: Callable[..., Catalog]) -> None:
    """Variables are put into all fields, into options at any depth, and into parts of a string."""
    text = """
    datasets:
      a:
        url: s3://${BUCKET}/${NAME}.zarr
        storage_options: {secret: "${KEY}", client_kwargs: {headers: [{x: "a ${KEY} b"}]}}
        group: "${NAME}"
        drop_variables: ["${NAME}"]
        title: "${NAME} costs $5 or $${NAME}"
        cache_control: "max-age=${AGE}"
    """
    entry = write(text, BUCKET="bucket", NAME="era5", KEY="${AGE}$", AGE="60").entry("a")
    assert entry.url == "s3://bucket/era5.zarr"
    assert entry.storage_options == {
        "secret": "${AGE}$",
        "client_kwargs": {"headers": [{"x": "a ${AGE}$ b"}]},
    }
    assert (entry.group, entry.drop_variables) == ("era5", ("era5",))
    assert (entry.title, entry.cache_control) == ("era5 costs $5 or ${NAME}", "max-age=60")


def test_a_missing_variable_is_named_with_its_field(write: Callable[..., Catalog]) -> None:
    """File, entry, field and variable are in the sentence and the facts; no value is."""
    text = "datasets: {a: {url: '${URL}', storage_options: {kw: [{secret: 'hush${GONE}'}]}}}"
    with pytest.raises(CatalogError) as caught:
        write(text, URL="s3://canary/x", OTHER="canary")
    said = str(caught.value)
    assert said.endswith(
        "catalog.yaml: dataset 'a': storage_options.kw.0.secret: "
        "the environment variable GONE is not set"
    )
    assert caught.value.facts == {
        "entry": "a",
        "field": "storage_options.kw.0.secret",
        "variable": "GONE",
    }


@pytest.mark.parametrize(
    "fields",
    [
        "{url: '${CANARY}', engine: '${CANARY}'}",
        "{url: b, zarr_format: '${CANARY}'}",
        "{url: b, storage_options: '${CANARY}'}",
        "{url: b, cache_control: 'é${CANARY}'}",
        "{url: 'http://user:${CANARY}@host:port/x'}",
        "{url: 'http://host:${CANARY}/x'}",
        "{url: 's3://b/x', engine: obstore, storage_options: {config_kwargs: "
        "{read_timeout: '${CANARY}'}}}",
        "{url: 's3://b/x', engine: obstore, storage_options: {profile: '${CANARY}'}}",
        "{url: 'reference://', storage_options: {fo: 'foo://${CANARY}/x'}}",
        "{url: b, group: ['${CANARY}']}",
    ],
)
def test_no_refusal_shows_what_the_environment_holds(
    write: Callable[..., Catalog], fields: str
) -> None:
    """A value from the environment is neither in the sentence nor in the whole traceback."""
    with pytest.raises(CatalogError) as caught:
        write(f"datasets: {{a: {fields}}}", CANARY=CANARY)
    shown = "".join(traceback.format_exception(caught.value))
    assert "dataset 'a'" in shown
    assert CANARY not in shown + repr(caught.value.facts)


def test_an_alias_inside_its_own_anchor_is_refused(write: Callable[..., Catalog]) -> None:
    """A document that contains itself is one sentence, not a traceback."""
    text = "datasets: {a: {url: b, storage_options: &x {y: *x}}}"
    assert "dataset 'a': nested too deeply" in refusal(write, text)


def test_nothing_can_be_changed_after_loading(write: Callable[..., Catalog]) -> None:
    """The catalog is a value: neither its entries nor their options can be assigned."""
    catalog = write(WHOLE)
    with pytest.raises(TypeError):
        operator.setitem(cast("Any", catalog.entries), "new", catalog.entry("era5"))
    with pytest.raises(TypeError):
        operator.setitem(cast("Any", catalog.entry("era5").storage_options), "secret", "other")
    with pytest.raises(ValueError, match="frozen"):
        catalog.entry("era5").url = "elsewhere"


def test_an_unknown_dataset_is_named(write: Callable[..., Catalog]) -> None:
    """Asking for an id that is not there raises UnknownDataset with the id among its facts."""
    with pytest.raises(UnknownDataset) as caught:
        write(WHOLE).entry("era6")
    assert caught.value.facts == {"dataset": "era6"}


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ("{}", "url", "required"),
        ("{url: ''}", "url", "at least 1 character"),
        ("{url: 5}", "url", "string"),
        ("{url: b, zarr_format: 4}", "zarr_format", "2 or 3"),
        ("{url: b, engine: boto}", "engine", "'s3fs' or 'obstore'"),
        ("{url: b, consolidated: maybe}", "consolidated", "boolean"),
        ("{url: b, storage_options: [1]}", "storage_options", "dictionary"),
        ("{url: b, drop_variables: x}", "drop_variables", "a list"),
        ("{url: b, drop_variables: [x, 5]}", "drop_variables.1", "string"),
        ('{url: b, cache_control: "a\\r\\nb: c"}', "cache_control", "printable ASCII"),
        ('{url: b, cache_control: "caché"}', "cache_control", "printable ASCII"),
        ('{url: b, cache_control: ""}', "cache_control", "printable ASCII"),
        ('{url: b, cache_control: "no-store "}', "cache_control", "without blanks at its ends"),
        ('{url: b, cache_control: " no-store"}', "cache_control", "without blanks at its ends"),
        ("{url: b, storage_option: {}}", "storage_option", "did you mean 'storage_options'?"),
        ("{url: b, colour: red}", "colour", "unknown field (known: url, "),
        ("{url: b, id: c}", "id", "key of the mapping"),
    ],
)
def test_a_wrong_field_is_named_with_its_entry(
    write: Callable[..., Catalog], fields: str, field: str, says: str
) -> None:
    """The sentence names the entry, the field and what is wrong with it."""
    sentence = refusal(write, f"datasets: {{fine: {{url: a}}, broken: {fields}}}")
    assert f"dataset 'broken': {field}: " in sentence
    assert says in sentence


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ("{url: 'foo://b/x'}", "url", "foo:// is unknown; known are abfs://, "),
        ("{url: 'simplecache::s3://b/x'}", "url", "chained addresses (simplecache::)"),
        ("{url: x.zarr, engine: obstore}", "engine", "serves s3://, not file://"),
        (
            "{url: 's3://b/x', engine: obstore, storage_options: {profile: p}}",
            "storage_options.profile",
            "means nothing to the obstore engine",
        ),
        ("{url: 'reference://'}", "storage_options.fo", "needs storage_options.fo"),
        ("{url: 'reference://', storage_options: {fo: 3}}", "storage_options.fo", "not int"),
        (
            "{url: 'reference://', storage_options: {fo: 'foo://b/r.json'}}",
            "storage_options.fo",
            "foo:// is unknown",
        ),
        ("{url: 's3://'}", "url", "s3:// needs a bucket"),
        ("{url: 'http://'}", "url", "http:// needs a host"),
        ("{url: 's3:/b/x'}", "url", "a protocol is written s3://"),
        ("{url: ' '}", "url", "blank"),
        ('{url: "x\\0y"}', "url", "NUL"),
        ("{url: '~nobody-of-this-name/x'}", "url", "no home folder"),
    ],
)
def test_an_entry_that_no_store_can_answer_is_refused(
    write: Callable[..., Catalog], fields: str, field: str, says: str
) -> None:
    """What the words alone show to be wrong is refused at the start, with entry and field."""
    sentence = refusal(write, f"datasets: {{fine: {{url: a}}, broken: {fields}}}")
    assert f"dataset 'broken': {field}: " in sentence
    assert says in sentence


def test_a_refused_url_keeps_its_secrets(write: Callable[..., Catalog]) -> None:
    """The sentence about a wrong URL shows neither its user nor its query."""
    said = refusal(write, "datasets: {a: {url: 'http://user:hush@host:port/x?sig=hush'}}")
    assert "dataset 'a': url: the host or its port is malformed" in said
    assert "hush" not in said


@pytest.mark.parametrize("depth", [3000, 100_000])
@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_a_catalog_without_a_bottom_is_refused(
    write: Callable[..., Catalog], depth: int, brackets: str
) -> None:
    """Nesting that no parser can follow is one sentence, not a traceback."""
    text = f"datasets: {brackets[0] * depth}{brackets[1] * depth}"
    assert "nested too deeply" in refusal(write, text)


@pytest.mark.parametrize("name", ["-a", ".a", "a/b", "a b", "''", "é", "a" * 129, "5", "null"])
def test_an_id_that_no_path_can_hold_is_refused(write: Callable[..., Catalog], name: str) -> None:
    """An id is letters, digits, dots, dashes and underscores, and YAML must read it as a string."""
    assert "an id is" in refusal(write, f"datasets: {{? {name} : {{url: a}}}}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "found it empty"),
        ("[1, 2]", "found it a list"),
        ("datasets: {}", "at least one dataset"),
        ("datasets: [a]", "at least one dataset"),
        ("datasets: {a: b}", "dataset 'a': must be a mapping"),
        ("dataset: {a: {url: b}}", "unknown key 'dataset' (did you mean 'datasets'?)"),
        ("datasets: {a: {url: b}}\ncache: 1", "unknown key 'cache'"),
        ("datasets:\n  a: {url: b}\n  a: {url: c}", "line 3: the key 'a' is given twice"),
        ("datasets:\n  a:\n    url: b\n    url: c", "line 4: the key 'url' is given twice"),
        ("datasets:\n  a: {url: b", "line 2"),
        ("datasets:\n\ta: b", "line 2"),
        ("datasets: !!python/object:os.system {}", "line 1"),
        ("a: &x {b: *y}", "line 1"),
    ],
)
def test_a_wrong_document_is_refused_in_one_line(
    write: Callable[..., Catalog], text: str, says: str
) -> None:
    """Syntax errors and repeated keys come with their line, wrong shapes with what was expected."""
    assert says in refusal(write, text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The path of a catalog that is not there is in the sentence."""
    with pytest.raises(CatalogError, match=r"none\.yaml: there is no such catalog file"):
        load_catalog(tmp_path / "none.yaml")


def test_a_folder_is_no_catalog(tmp_path: Path) -> None:
    """What cannot be read as a file is refused with the system's reason."""
    with pytest.raises(CatalogError, match="cannot be read: Is a directory"):
        load_catalog(tmp_path)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are refused rather than guessed at."""
    path = tmp_path / "catalog.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CatalogError, match="not UTF-8"):
        load_catalog(path)


def test_every_field_is_documented() -> None:
    """The page's table has each field that an entry can have, and no other."""
    page = Path(__file__).parents[2] / "docs" / "catalog.md"
    documented = re.findall(r"^\| `([a-z_]+)` \| .+ \| .+ \|$", page.read_text(), re.M)
    assert documented == [name for name in DatasetEntry.model_fields if name != "id"]

"""An option is one row, and so is a format: whatever knows them knows a toy of each."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import httpx
import pytest
import xarray as xr

from app.api import create_app
from app.doors.native.grammar import Grammar
from app.doors.native.json_body import read_members
from app.doors.native.names import Names
from app.doors.native.option import FORMAT_OPTIONS, Option, by_name
from app.doors.native.options import OPTIONS, formats_table, options_table
from app.doors.native.routes import NativeDoor
from app.settings import Settings
from sluice.encoders.encoder import Encoder
from sluice.encoders.formats import ENCODERS
from sluice.encoders.json_encoder import FragmentCache
from sluice.errors import QueryError
from sluice.selection import Positions, PositionSlice
from tests.api.conftest import serving_app
from tests.api.test_problems import check

POINT = {"time": 0, "lat": 1, "lon": 1}
URL = "/datasets/small/isel?" + "&".join(f"{name}={value}" for name, value in POINT.items())


def read_digits(texts: Sequence[str], names: Names) -> int:
    if not texts[0].isdecimal():
        raise QueryError(f"digits={texts[0]}: a whole number", parameter="digits")
    return int(texts[0])


def read_mark(texts: Sequence[str], names: Names) -> str:
    return texts[0]


def write_toy(
    dataset: xr.Dataset, fragments: FragmentCache | None = None, template_key: Hashable = None
) -> Iterator[bytes]:
    yield "-".join(map(str, dataset.data_vars)).encode()


def marked(toy: Encoder, values: Mapping[str, object]) -> Encoder:
    """The toy that writes the mark between names that it was asked for."""
    text = str(values["mark"])

    def encode(
        dataset: xr.Dataset, fragments: FragmentCache | None = None, template_key: Hashable = None
    ) -> bytes:
        return text.join(map(str, dataset.data_vars)).encode()

    return replace(toy, encode=encode)


DIGITS = Option(
    "digits", "How many digits.", {"type": "integer"}, read_digits, others=("precision",)
)
MARK = Option("mark", "What stands between names.", {"type": "string"}, read_mark)
TOY = replace(
    ENCODERS["csv"],
    name="toy",
    media_type="text/x-toy",
    suffix=".toy",
    encode=lambda dataset, fragments=None, template_key=None: b"".join(write_toy(dataset)),
    pieces=write_toy,
    described={"schema": {"type": "string", "description": "Names alone."}},
    options=("mark",),
    adapt=marked,
)
DOOR = NativeDoor(by_name([*OPTIONS.values(), DIGITS, MARK]), {**ENCODERS, "toy": TOY})


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("toy")
    coords = {name: (name, [float(n) for n in range(3)]) for name in ("lat", "lon")}
    values = [[[float(n)] * 3] * 3 for n in range(2)]
    dataset = xr.Dataset({name: (("time", "lat", "lon"), values) for name in ("t", "u")}, coords)
    dataset.to_zarr(folder / "small.zarr", zarr_format=2)
    catalog = folder / "catalog.yaml"
    catalog.write_text(f'datasets: {{small: {{url: "{folder}/small.zarr"}}}}')
    with serving_app(create_app(Settings(catalog=catalog), native=DOOR)) as client:
        yield client


@pytest.fixture
def ask(client: httpx.Client) -> Callable[[dict[str, str | int | bool]], list[httpx.Response]]:
    """The answers to a point with these options, asked for in a URL and in a body."""

    def both(options: dict[str, str | int | bool]) -> list[httpx.Response]:
        in_url = {name: str(value).lower() for name, value in {**POINT, **options}.items()}
        path = "/datasets/small/isel"
        return [client.get(path, params=in_url), client.post(path, json={**POINT, **options})]

    return both


Ask = Callable[[dict[str, str | int | bool]], list[httpx.Response]]


def test_urls_and_bodies_take_a_new_option(ask: Ask) -> None:
    """It is read by its row, and refused by it."""
    for answer in ask({"digits": 3}):
        assert answer.status_code == 200, answer.text
    for answer in ask({"digits": "three"}):
        assert check(answer, 400)["parameter"] == "digits"
    for answer in ask({"precision": 3}):
        assert check(answer, 400)["did_you_mean"] == "digits"
        assert "digits" in answer.json()["known"]


def test_urls_and_bodies_take_a_new_format(ask: Ask, client: httpx.Client) -> None:
    """By its name and by the Accept header; whoever asks for another learns of it."""
    answers = [*ask({"f": "toy"}), client.get(URL, headers={"Accept": "text/x-toy"})]
    for answer in answers:
        assert (answer.status_code, answer.text) == (200, "t-u")
        assert answer.headers["content-type"] == "text/x-toy"
        assert answer.headers["content-disposition"].endswith('.toy"')
    for answer in ask({"f": "none"}):
        assert "toy" in check(answer, 400)["known"]


def test_a_format_takes_options_of_its_own(ask: Ask) -> None:
    """Another format refuses them, and says which takes them; each value is another answer."""
    tags = {ask({"f": "toy"})[0].headers["etag"]}
    for mark in ("+", "*"):
        answers = ask({"f": "toy", "mark": mark})
        assert [answer.text for answer in answers] == [f"t{mark}u"] * 2
        tags.add(answers[0].headers["etag"])
    assert len(tags) == 3
    for answer in [*ask({"mark": "+"}), *ask({"mark": "+", "f": "csv"})]:
        problem = check(answer, 400)
        assert (problem["parameter"], problem["known"]) == ("mark", ["f=toy"])


def test_explanations_tell_what_was_asked(ask: Ask) -> None:
    """A new option stands in the explanation as it was read; a new format is explained."""
    for answer in ask({"explain": True, "digits": 3, "f": "toy"}):
        assert answer.json()["options"] == {"digits": 3}
    for answer in ask({"explain": True, "f": "toy", "variables": "t"}):
        assert answer.status_code == 200
        assert "options" not in answer.json()


def test_tags_tell_new_options_and_formats_apart(client: httpx.Client) -> None:
    """Each value is another answer, also of what is explained; equal ones are one."""
    queries = ["", "&digits=3", "&digits=4", "&f=toy", "&f=toy&digits=3"]
    queries += [f"{query}&explain=true" for query in queries]
    tags = [client.get(URL + query).headers["etag"] for query in queries]
    assert len(set(tags)) == len(tags)
    assert client.get(f"{URL}&digits=03").headers["etag"] == tags[1]


def test_the_openapi_document_names_them(client: httpx.Client) -> None:
    """The option in URLs and bodies, the format among the answers and the names of formats."""
    document: dict[str, Any] = client.get("/openapi.json").json()
    for word in ("sel", "isel"):
        item = document["paths"][f"/datasets/{{dataset_id}}/{word}"]
        parameters = {one["name"]: one for one in item["get"]["parameters"]}
        body = item["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]
        assert parameters["digits"]["schema"] == body["digits"] == {"type": "integer"}
        assert parameters["f"]["schema"]["enum"] == body["f"]["enum"] == [*ENCODERS, "toy"]
        for method in ("get", "post"):
            assert "text/x-toy" in item[method]["responses"]["200"]["content"]


def test_the_docs_name_them(client: httpx.Client) -> None:
    """In the tables that the docs are made of, and on the page."""
    option = "| `digits` | one word | How many digits. |\n"
    format_ = "| `f=toy` | `text/x-toy` | `.toy` | Names alone. | `mark` |\n"
    assert option in options_table(DOOR.options)
    assert format_ in formats_table(DOOR.formats)
    guide = client.get("/openapi.json").json()["info"]["description"]
    assert option in guide
    assert format_ in guide


def test_every_option_and_format_is_in_the_tables() -> None:
    """With how many values an option takes, and what a format holds."""
    options, formats = options_table(), formats_table()
    assert options.count("\n") == 2 + len(OPTIONS)
    assert "| `pointwise` | a list of 2 names or more |" in options
    assert "| `explain` | `true` or `false` |" in options
    assert formats.count("\n") == 2 + len(ENCODERS)
    assert "| `f=netcdf` | `application/netcdf` | `.nc` | NetCDF-4. |" in formats


def test_a_dimension_comes_before_an_option_of_its_name() -> None:
    """Radars measure along `range`: the option is asked for in brackets there, and anywhere."""
    radar = Grammar(dims={"range": 4}, coords={}, by="position", formats={"png": (), "json": ()})
    asked = radar.parse([("range", "1:3"), ("option[range]", "0,9"), ("f", "png")])
    assert asked.selection.along == {"range": PositionSlice(1, 3, None)}
    assert asked.more == (("range", (0.0, 9.0)),)
    posted = radar.parse_json(
        read_members(b'{"range": [1, 3], "option[range]": [0, 9], "option[history]": true}')
    )
    assert posted.selection.along == {"range": Positions((1, 3))}
    assert dict(posted.more) == {"range": (0.0, 9.0), "history": True}
    with pytest.raises(QueryError, match="option") as unknown:
        radar.parse([("ragne", "1")])
    assert "option[range]" in unknown.value.facts["known"]
    other = Grammar(dims={"time": 4}, coords={}, by="position", formats={"png": (), "json": ()})
    for name in ("range", "option[range]"):
        assert other.parse([(name, "0,9")]).more == (("range", (0.0, 9.0)),)
    with pytest.raises(QueryError, match="twice"):
        other.parse([("range", "0,9"), ("option[range]", "0,9")])


def test_each_option_of_a_format_yields() -> None:
    """A dimension may have any name, and comes first."""
    assert all(option.yields for option in FORMAT_OPTIONS)


def test_true_and_false_are_for_no_dimension() -> None:
    """Where a dimension has the name of an option that takes them."""
    named = Grammar(dims={"history": 4}, coords={}, by="position", formats={"json": ()})
    with pytest.raises(QueryError, match=r"option\[history\]"):
        named.parse_json(read_members(b'{"history": true}'))

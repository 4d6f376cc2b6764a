"""The OpenAPI document: true, complete, and enough to learn the API from."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.api.openapi import guide
from app.doors.native.options import OPTIONS
from app.settings import Settings
from loadtests import by_schema
from loadtests.by_schema import draw_case
from sluice.encoders.formats import ENCODERS
from tests.api.conftest import serving

CASES = 300


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


@pytest.fixture(scope="module")
def drawn_from(document: dict[str, Any]) -> list[Any]:
    """What schemathesis made of the document: once for all requests, for it takes a while."""
    return by_schema.operations(document)


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    """Each has a summary, a text, and for each parameter and answer a sentence."""
    found = operations(document)
    assert len(found) == 16
    for _, _, operation in found:
        assert operation["summary"]
        assert operation["description"]
        for parameter in operation.get("parameters", []):
            assert parameter["description"], parameter
        for answer in operation["responses"].values():
            assert answer["description"].endswith("."), answer


def test_every_parameter_of_the_grammar_is_there(document: dict[str, Any]) -> None:
    """What a selection takes besides dimensions is listed, in a URL and in a body."""
    for path in ("sel", "isel"):
        item = document["paths"][f"/datasets/{{dataset_id}}/{path}"]
        names = {parameter["name"] for parameter in item["get"]["parameters"]}
        assert names == {*OPTIONS, "selection", "dataset_id"}
        body = item["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert set(body["properties"]) == set(OPTIONS)


def test_every_format_and_error_is_there(document: dict[str, Any]) -> None:
    """A selection's answers name each media type, and each error is a problem document."""
    answers = document["paths"]["/datasets/{dataset_id}/sel"]["get"]["responses"]
    assert set(answers["200"]["content"]) == {encoder.media_type for encoder in ENCODERS.values()}
    for status, answer in answers.items():
        if int(status) >= 400:
            assert list(answer["content"]) == ["application/problem+json"]
    assert "304" in answers


def test_validation_errors_of_the_framework_are_not_promised(document: dict[str, Any]) -> None:
    """FastAPI's own 422 never happens, and the document does not say that it does."""
    assert "HTTPValidationError" not in json.dumps(document)


def examples(text: str) -> list[str]:
    """The paths in the first table of the guide."""
    table = text.partition("**Values by label**")[0]
    return re.findall(r"`(/i?sel\?[^`]+)`", table)


def test_a_store_that_hangs_does_not_hold_the_document_up(tmp_path: Path) -> None:
    """It comes without examples of a dataset, long before the store is given up."""
    catalog = tmp_path / "catalog.yaml"
    # The kernel takes connections, and nobody ever answers.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        catalog.write_text(f"datasets: {{hangs: {{url: 'http://127.0.0.1:{port}/x.zarr'}}}}")
        patient = Settings(
            catalog=catalog, store_attempt_seconds=600, store_read_seconds=600, request_seconds=600
        )
        with serving(patient) as client:
            document = client.get("/openapi.json").json()
    examples = [
        parameter.get("example")
        for _, _, operation in operations(document)
        for parameter in operation.get("parameters", [])
        if parameter["name"] == "dataset_id"
    ]
    assert set(examples) == {"sample"}


def test_every_example_of_the_guide_answers(client: httpx.Client) -> None:
    """What a server without datasets says to ask works, but for the dataset's name and times."""
    paths = examples(guide())
    assert len(paths) == 7
    for path in paths:
        ours = path.replace("2024-01-02", "2020-01-01").replace("2024-01", "2020-01")
        # The nearest of those, on the coarser axes here.
        ours = re.sub(r"(latitude|longitude)=(?=[0-9.]+(&|$))", r"\1=nearest::", ours)
        answer = client.get(f"/datasets/v2{ours}")
        assert answer.status_code == 200, (ours, answer.text)


def test_the_examples_are_of_this_server(client: httpx.Client, document: dict[str, Any]) -> None:
    """Each works as it stands: those of the text, of parameters and of bodies."""
    told = document["info"]["description"]
    paths = examples(told)
    (dataset,) = set(re.findall(r"ask `/datasets/(\S+)` for", told))
    assert dataset in [one["id"] for one in client.get("/datasets").json()["datasets"]]
    assert len(paths) == 8
    for path in paths:
        answer = client.get(f"/datasets/{dataset}{path}")
        assert answer.status_code == 200, (path, answer.text)
    for method, path, operation in operations(document):
        by_name = {one["name"]: one for one in operation.get("parameters", [])}
        if "selection" not in by_name and "requestBody" not in operation:
            continue
        assert by_name["dataset_id"]["example"] == dataset
        ours = path.replace("{dataset_id}", dataset).replace(".{suffix}", ".json")
        if method == "get":
            for example in by_name["selection"]["examples"].values():
                wanted = {k: v for k, v in example["value"].items() if k != "f"}
                answer = client.get(ours, params=wanted)
                assert answer.status_code == 200, (example, answer.text)
        elif method == "post":
            for example in operation["requestBody"]["content"]["application/json"][
                "examples"
            ].values():
                posted = {k: v for k, v in example["value"].items() if k != "f"}
                answer = client.post(ours, json=posted)
                assert answer.status_code == 200, (example, answer.text)


def test_scripts_of_the_page_are_sent_small(client: httpx.Client) -> None:
    """A third of what they are, in a coding that the client knows; the same once decoded."""
    for name, most in (("swagger-ui-bundle.js", 550_000), ("swagger-ui.css", 40_000)):
        plain = client.get(f"/docs/assets/{name}", headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        packed = client.get(f"/docs/assets/{name}", headers={"Accept-Encoding": "gzip"})
        assert packed.headers["content-encoding"] == "gzip"
        assert int(packed.headers["content-length"]) < most
        assert packed.content == plain.content


def test_the_page_needs_no_other_server(client: httpx.Client) -> None:
    """``/docs`` is a page whose scripts and styles come from here; the root names it."""
    assert 'href="docs"' in client.get("/", headers={"Accept": "text/html"}).text
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(sources) == 3
    for source in sources:
        assert source.startswith("/docs/assets/")
        assert client.get(source).status_code == 200


@settings(max_examples=CASES, deadline=None, derandomize=True, database=None,
          suppress_health_check=list(HealthCheck))  # fmt: skip
@given(data=st.data())
def test_any_request_that_the_document_allows_is_answered_as_it_says(
    client: httpx.Client, drawn_from: list[Any], data: st.DataObject
) -> None:
    """Schemathesis with all of its checks: nothing comes that is not in the document."""
    case = draw_case(data, drawn_from, ["v2", "v3"])
    by_schema.judge(case, case.call(base_url=str(client.base_url).rstrip("/")))


def test_every_parameter_of_a_path_is_described(document: dict[str, Any]) -> None:
    """Each name in braces is a parameter of each operation, and each such parameter is there."""
    for _, path, operation in operations(document):
        names = [p["name"] for p in operation.get("parameters", []) if p["in"] == "path"]
        assert names == re.findall(r"{(\w+)}", path), path

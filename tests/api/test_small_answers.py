"""What the service answers is what the models say, which the OpenAPI document is made of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from pydantic import BaseModel, ValidationError

from app.api.small_answers import (
    MODELS,
    CatalogStatus,
    DatasetDescription,
    DatasetList,
    Explanation,
    Healthy,
    Problem,
    Ready,
    schemas,
)
from app.settings import Settings
from tests.api.conftest import serving

CATALOG = """
datasets:
  v2: {url: "{stores}/v2.zarr", title: Weather, description: Hourly., license: CC0}
  v3: {url: "{stores}/v3.zarr", attribution: Somebody}
  gone: {url: "{stores}/secret-name.zarr"}
"""
EXPLAINED = "/datasets/v2/sel?explain=true"


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/healthz", Healthy),
        ("/readyz", Ready),
        ("/catalog/status", CatalogStatus),
        ("/datasets", DatasetList),
        ("/datasets/v2", DatasetDescription),
        ("/datasets/v3", DatasetDescription),
        (f"{EXPLAINED}&level=850", Explanation),
        (f"{EXPLAINED}&latitude=0,10&longitude=0,10&pointwise=latitude,longitude", Explanation),
        ("/datasets/gone", Problem),
        ("/datasets/v2/sel?latitude=52.52", Problem),
        ("/nothing", Problem),
    ],
)
def test_answers_are_what_their_models_say(
    write_catalog: Callable[[str], Path], path: str, model: type[BaseModel]
) -> None:
    """No member is missing, none is more, and each is of its kind."""
    with serving(Settings(catalog=write_catalog(CATALOG))) as client:
        answer = client.get(path)
    found = model.model_validate_json(answer.content, strict=True)
    assert found.model_dump(mode="json", exclude_unset=True) == answer.json()


def test_a_model_has_its_members_and_no_others() -> None:
    """All but problems, whose facts differ."""
    for model in MODELS:
        if model is not Problem:
            with pytest.raises(ValidationError) as caught:
                model.model_validate({"more": 1})
            assert ("extra_forbidden", ("more",)) in [
                (error["type"], error["loc"]) for error in caught.value.errors()
            ]


def test_the_document_is_made_of_the_models(client: httpx.Client) -> None:
    """Each is a component, and each reference leads to one."""
    document = client.get("/openapi.json")
    components = document.json()["components"]["schemas"]
    assert components == schemas()
    assert {model.__name__ for model in MODELS} <= components.keys()
    referred = {part.partition('"')[0] for part in document.text.split("#/components/schemas/")[1:]}
    assert referred == components.keys()

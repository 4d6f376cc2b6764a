"""A folder with the sample and its true values, as the load makes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.sample import write_sample
from loadtests.ground import write_truth


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's store ``analyses.zarr``, its values in ``truth``, and a catalog of it."""
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder / "analyses.zarr")
    write_truth(folder / "analyses.zarr", folder / "truth")
    (folder / "catalog.yaml").write_text("datasets: {sample: {url: analyses.zarr}}")
    return folder

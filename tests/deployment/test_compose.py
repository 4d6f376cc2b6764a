"""The compose file and its override: valid, closed to the outside, and naming what there is."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from app.catalog.catalog import load_catalog
from app.settings import PREFIX, misspelt_variables

ROOT = Path(__file__).parents[2]
CATALOG = ROOT / "deploy" / "catalog.yaml"
FILES = {
    "alone": ["docker-compose.yml"],
    "stand-in": ["docker-compose.yml", "deploy/s3-stand-in.yml"],
}
VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)")


@cache
def compose() -> list[str]:
    """The compose command, version 2; a skip that says what is missing where there is none."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) is None:
            continue
        asked = subprocess.run([*command, "version", "--short"], capture_output=True, text=True)
        if asked.returncode == 0 and not asked.stdout.startswith("1."):
            return command
    pytest.skip("docker compose 2 is not installed (scripts/compose.sh install)")


def config(files: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`docker compose config` over these files, with no variable but `variables` and no .env."""
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    named = [word for name in FILES[files] for word in ("-f", name)]
    return subprocess.run(
        [*compose(), "--env-file", os.devnull, *named, "config", *arguments],
        cwd=ROOT,
        env={**clean, **variables},
        capture_output=True,
        text=True,
    )


def services(files: str = "alone", **variables: str) -> dict[str, Any]:
    """The services as compose understands them."""
    done = config(files, "--format", "json", **variables)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["services"]
    return found


@pytest.mark.parametrize("files", FILES)
def test_compose_takes_the_files(files: str) -> None:
    """Compose finds nothing to complain about, warnings included."""
    done = config(files, "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("files", FILES)
def test_ports_are_open_on_loopback_only(files: str) -> None:
    """Nobody else on the network meets a server with example keys."""
    ports = [port for service in services(files).values() for port in service.get("ports", [])]
    assert len(ports) == 2
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}


def test_settings_in_the_files_are_settings() -> None:
    """Every SLUICE_ variable of the compose file and the Dockerfile is one that Sluice reads."""
    names = {name for service in services().values() for name in service["environment"]}
    names.update(re.findall(rf"\b({PREFIX}[A-Z_]+)=", (ROOT / "Dockerfile").read_text()))
    assert f"{PREFIX}CATALOG" in names
    assert misspelt_variables(names) == {}


@pytest.mark.parametrize("service", ["sample", "sluice"])
def test_the_catalog_loads_in_each_container(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mounted catalog finds all its variables, and the keys are those of the S3 server."""
    keys = {"S3_ACCESS_KEY": "my-key", "S3_SECRET_KEY": "my-secret"}
    found = services(**keys)
    environment = found[service]["environment"]
    for name in ("S3_ENDPOINT", *keys):
        monkeypatch.setenv(name, environment[name])
    entry = load_catalog(CATALOG).entry("sample")
    assert entry.storage_options["key"] == found["s3"]["environment"]["ROOT_ACCESS_KEY"] == "my-key"
    assert entry.storage_options["secret"] == found["s3"]["environment"]["ROOT_SECRET_KEY"]
    (mount,) = (one for one in found[service]["volumes"] if one["type"] == "bind")
    assert Path(mount["source"]) == CATALOG
    assert mount["target"] == environment[f"{PREFIX}CATALOG"]
    assert mount["read_only"]


def test_what_can_be_set_is_said_at_the_top() -> None:
    """Each variable that the file reads is named in its first comment, and moves something."""
    text = (ROOT / "docker-compose.yml").read_text()
    comment, _, body = text.partition("\nname:")
    names = set(VARIABLE.findall(body))
    assert names
    assert names <= set(re.findall(r"\w+", comment))
    before = services()
    for name in names:
        assert services(**{name: "4"}) != before, name


@pytest.mark.parametrize("files", FILES)
def test_health_is_asked_in_exec_form_without_blanks(files: str) -> None:
    """Some engines split an argument of a healthcheck at its blanks: none has any."""
    checks = [s["healthcheck"]["test"] for s in services(files).values() if "healthcheck" in s]
    assert checks
    for first, *words in checks:
        assert first == "CMD"
        assert not [word for word in words if " " in word]


def test_sluice_waits_for_the_sample() -> None:
    """The service starts when the store is whole, so that `up --wait` ends with it readable."""
    conditions = {name: on["condition"] for name, on in services()["sluice"]["depends_on"].items()}
    assert conditions == {"s3": "service_healthy", "sample": "service_completed_successfully"}
    assert services()["sample"]["depends_on"]["s3"]["condition"] == "service_healthy"

"""What pyproject.toml cannot say: the folder app/ is installed as the package `sluice.app`.

So the wheel has one top-level name, and lives beside a project's own `app`.
"""

from __future__ import annotations

from tempfile import TemporaryDirectory

from setuptools import find_packages, setup

ROOMS = [f"sluice.app.{name}" for name in find_packages("app")]

# Outside of the checkout, where nothing is left: what stayed would get into the next wheel.
BUILD = TemporaryDirectory(prefix="sluice-build-")

setup(
    packages=[*find_packages(include=["sluice", "sluice.*"]), "sluice.app", *ROOMS],
    package_dir={"sluice.app": "app"},
    options={"build": {"build_base": BUILD.name}, "egg_info": {"egg_base": BUILD.name}},
)

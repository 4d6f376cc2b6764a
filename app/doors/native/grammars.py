"""What requests can ask of an opened dataset, by what a bare name means."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from sluice.encoders.formats import ENCODERS

from ...catalog.opened import Opened
from .grammar import Grammar
from .names import By


def grammars_of(opened: Opened) -> Mapping[By, Grammar]:
    """The grammar of each path for this dataset, prepared for many requests."""
    dataset = opened.dataset
    grammar = partial(
        Grammar,
        dims=opened.prepared.sizes,
        coords={str(name): tuple(map(str, coord.dims)) for name, coord in dataset.coords.items()},
        formats=tuple(ENCODERS),
        variables=tuple(map(str, dataset.data_vars)),
        unusable={name: one.reason for name, one in dataset.unusable.items()},
        roles=opened.prepared.roles,
    )
    return {"label": grammar(by="label"), "position": grammar(by="position")}

"""The one path that every selection takes, from its parameters to its answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Hashable, Sequence
from functools import partial
from time import perf_counter
from typing import NoReturn

import xarray as xr
from fastapi import Request, Response

from sluice.arrays.texts import TextMeter
from sluice.axes.resolve import Resolved, resolve
from sluice.datasets import (
    DatasetPlan,
    Outline,
    explain,
    plan_isel,
    plan_positions,
    relabel,
    together,
)
from sluice.encoders.table import ENCODERS, Encoder, negotiate
from sluice.errors import LimitError, SluiceError, StoreError
from sluice.phases import Phases
from sluice.record import record
from sluice.selection import Query
from sluice.wording import plain_words

from ..catalog.catalog import DatasetEntry
from ..catalog.discretion import discreet_error
from ..catalog.opened import Opened
from ..doors.native.names import By
from .access import caller
from .answers import Representation, accepted_coding, respond
from .bodies import json_bytes
from .headers import header_of
from .limits import RequestLimits, memory_bytes
from .paced import LongBody
from .state import Service, begin_phases
from .weighing import meter_of, text_weight, weighed

log = logging.getLogger(__name__)

Pairs = Sequence[tuple[str, str]]


@record
class _Planned:
    """All that is known of an answer before anything is read."""

    query: Query
    found: Resolved
    plan: DatasetPlan
    encoder: Encoder
    result_bytes: int
    excess: LimitError | None


async def select(
    request: Request, serving: Service, dataset_id: str, by: By, pairs: Pairs
) -> Response:
    """Understand, refuse early, plan, refuse what costs too much, read, encode."""
    phases, began = begin_phases(request.scope), perf_counter()
    opened = await serving.opened.get(dataset_id)
    began = phases.since("open", began)
    planned = _plan(request, serving, opened, by, pairs)
    phases.since("plan", began)
    phases.cells = planned.plan.outline.cells
    names, places = planned.found.places
    said: Hashable = (planned.query.variables, names)
    if planned.query.explain:
        form = Representation(opened, ENCODERS["json"], None)
        said = (said, planned.encoder.name, repr(serving.limits))
        make = partial(_explain, planned, serving)
        return await respond(request, form, (said, places), phases, make)
    if planned.excess is not None:
        raise planned.excess
    coding = accepted_coding(request, planned.result_bytes, serving.encoding.compress_bytes)
    form = Representation(opened, planned.encoder, coding)
    read = partial(_make, request, serving, planned, form, phases)
    return await respond(request, form, (said, places), phases, read)


def _plan(request: Request, serving: Service, opened: Opened, by: By, pairs: Pairs) -> _Planned:
    """Everything that can be refused without reading is refused here, but for a limit's excess."""
    query = opened.grammars[by].parse(pairs, most_labels=serving.limits.labels)
    # An explanation is JSON, whatever format it explains.
    encoder = negotiate(query.format, None if query.explain else header_of(request, b"accept"))
    found = resolve(query, opened.axes, opened.dims)
    plan = _planned_reads(opened, found, query)
    result_bytes = weighed(encoder, plan)
    excess = serving.limits.excess(plan, result_bytes)
    return _Planned(query, found, plan, encoder, result_bytes, excess)


def _planned_reads(opened: Opened, found: Resolved, query: Query) -> DatasetPlan:
    if not found.pointwise:
        return plan_positions(opened.layout, found.positions, query.variables)
    indexers = together(opened.dataset, found.positions, found.pointwise)
    return plan_isel(opened.layout, indexers, keep=query.variables)


async def _explain(planned: _Planned, serving: Service) -> bytes:
    """What the planned answer would be and cost; reads nothing."""
    held = sum(variable.nbytes for variable in planned.plan.variables.values())
    if held <= serving.encoding.inline_bytes:
        return _explained(planned)
    return await asyncio.to_thread(_explained, planned)


def _explained(planned: _Planned) -> bytes:
    told = {
        "result_bytes": planned.result_bytes,
        "unmeasured": planned.plan.outline.unmeasured,
        "within_limits": planned.excess is None,
    }
    return json_bytes({**explain(planned.plan, planned.found.labels), **told})


def _is_small(planned: _Planned, inline_bytes: int) -> bool:
    """Whether it is written on the loop: a hop to a thread costs more than a few values do."""
    return planned.result_bytes <= inline_bytes


async def _make(
    request: Request, serving: Service, planned: _Planned, form: Representation, phases: Phases
) -> bytes | LongBody:
    """The body: at once if it is small and of what is in memory, else when there is room for it.

    The former is not counted: it waits for nobody and takes no memory to speak of.
    """
    if _is_small(planned, serving.encoding.inline_bytes):
        with phases.recording():
            result = _known(planned.plan, form.opened.entry)
        if result is not None:
            texts = await _counted_texts(result, planned, serving.limits)
            if texts <= serving.encoding.inline_bytes:
                return _encode(result, planned, form, phases)
    # Texts that nobody has read yet may take all that one answer may have.
    texts = min(planned.plan.text_bytes, serving.limits.result_bytes)
    forms = planned.encoder.forms
    cost = memory_bytes(planned.plan, planned.result_bytes + texts, forms)
    make = partial(_read_and_encode, planned, form, phases, serving, texts)
    return await serving.admission.run(caller(request), cost, make)


async def _read_and_encode(
    planned: _Planned, form: Representation, phases: Phases, serving: Service, likely_texts: int
) -> bytes | LongBody:
    """The body; memory was taken for `likely_texts` bytes of texts, and is for what they are."""
    meter = meter_of(planned.plan, planned.result_bytes, serving.limits)
    with phases.recording():
        result = await _read(planned.plan, form.opened.entry, meter)
    texts = await _counted_texts(result, planned, serving.limits)
    encoding = serving.encoding
    if _is_small(planned, encoding.inline_bytes) and texts <= encoding.inline_bytes:
        return _encode(result, planned, form, phases)
    began = perf_counter()
    more = planned.encoder.forms * max(0, texts - likely_texts)
    with serving.admission.budget.charged(more):
        content = await encoding.writing.write(form.pieces(*_labelled(result, planned)))
    phases.since("encode", began)
    return content


async def _counted_texts(result: xr.Dataset, planned: _Planned, limits: RequestLimits) -> int:
    """What the texts of `result` count for; LimitError where that is too much."""
    meter = meter_of(planned.plan, planned.result_bytes, limits)
    if meter is None:
        return 0
    texts = await text_weight(planned.encoder, planned.plan.outline, result)
    meter.take(texts)
    return texts


def _encode(result: xr.Dataset, planned: _Planned, form: Representation, phases: Phases) -> bytes:
    began = perf_counter()
    content = form.body(*_labelled(result, planned))
    phases.since("encode", began)
    return content


def _labelled(result: xr.Dataset, planned: _Planned) -> tuple[xr.Dataset, Outline | None]:
    """The answer with the labels that it was asked by, and the form that it shares with others."""
    if not planned.found.labels:
        return result, planned.plan.outline
    # Other labels bring other attributes.
    return relabel(result, planned.found.labels), None


def _known(plan: DatasetPlan, entry: DatasetEntry) -> xr.Dataset | None:
    """The planned answer, if it can be had without asking the store; raises as `_read`."""
    try:
        return plan.at_once()
    except Exception as error:
        _tell(error, entry)


async def _read(plan: DatasetPlan, entry: DatasetEntry, meter: TextMeter | None) -> xr.Dataset:
    """The planned answer; values that xarray cannot decode are the store's fault, not ours."""
    try:
        return await plan.read(meter)
    except Exception as error:
        _tell(error, entry)


def _tell(error: Exception, entry: DatasetEntry) -> NoReturn:
    """Raise what is told of a failure: the store's own words may repeat secrets it was sent."""
    told = discreet_error(error, entry)
    if told is not error:
        raise told from None
    if isinstance(error, SluiceError):
        raise error
    log.error("values that do not decode", exc_info=error)
    raise StoreError(f"values do not decode: {plain_words(str(error))}") from error

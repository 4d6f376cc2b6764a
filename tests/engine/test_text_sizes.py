"""The told length of a text is within a tenth of the true one, or said to be rough."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from zarr.storage import MemoryStore

from sluice.aliases import Array
from sluice.datasets import open_dataset
from sluice.encoders.encoder import Encoder
from sluice.encoders.formats import ENCODERS
from sluice.engine import Learned, Plan, Sampler, estimated_size, plan, prepare, rows_of
from sluice.engine.learned import Sample
from sluice.engine.prepared import PreparedDataset
from sluice.errors import SluiceError
from sluice.selection import Along, Position, Positions, PositionSlice, Selection
from tests.engine.selections import opened_of, selections
from tests.equivalence.strategies import stores
from tests.stores import StoreSpec

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(900)]
TEXTS = [encoder for encoder in ENCODERS.values() if encoder.grows]
CSV = ENCODERS["csv"]


async def answered(planned: Plan, learned: Learned, most_bytes: int | None) -> None:
    """The answer as the service makes it: whole, or in slabs."""
    if most_bytes is None:
        await learned.see_values(planned, (await planned.read()).variables)
        return
    assert CSV.rows is not None
    answer = rows_of(planned, CSV.rows, most_bytes)
    async for slab in answer.pieces(CSV.rows, sampler=Sampler(learned, planned)):
        for _ in slab:
            pass


def held(planned: Plan, encoder: Encoder, learned: Learned, content: bytes) -> bool:
    """Whether the size is told as sure; it has to be right then."""
    size, rough = estimated_size(encoder, planned, learned)
    assert size >= 0
    assert rough or size == pytest.approx(len(content), rel=0.1), (encoder.name, size, len(content))
    return not rough


@settings(deadline=None, max_examples=60)
@given(spec=stores(), data=st.data())
def test_what_is_told_as_sure_is_within_a_tenth(
    runner: asyncio.Runner, spec: StoreSpec, data: st.DataObject
) -> None:
    """Any selections from any store, some answered and others asked for."""
    opened = opened_of(runner, spec)
    prepared, learned = prepare(opened), Learned()
    for number in range(3):
        selection = data.draw(selections(opened), label="selection")
        encoder = data.draw(st.sampled_from(TEXTS), label="format")
        try:
            planned = plan(prepared, selection)
            encoder.check(planned.schema)
            content = encoder.encode(runner.run(planned.read()))
        except (SluiceError, ValueError, TypeError, OverflowError):
            assume(number)
            continue
        event("sure" if held(planned, encoder, learned, content) else "rough")
        slabs = data.draw(st.sampled_from([None, 1, 100]), label="slabs")
        try:
            runner.run(answered(planned, learned, slabs))
        except SluiceError:
            runner.run(answered(planned, learned, None))
        event("sure after" if held(planned, encoder, learned, content) else "rough after")


def grown(shape: tuple[int, int, int]) -> Mapping[str, Array]:
    """Values whose texts are of very different lengths here and there."""
    random = np.random.default_rng(1)
    halves = random.random(shape)
    halves[:, : shape[1] // 2] = np.nan
    digits = np.round(random.random(shape) * 100, 1)
    digits[shape[0] // 2 :] = random.normal(size=digits[shape[0] // 2 :].shape) / 1e9
    rare = np.zeros(shape)
    rare[random.random(shape) < 0.01] = -np.pi * 1e-101
    stripes = random.random(shape)
    stripes[..., ::2] = np.nan
    counts = np.arange(np.prod(shape)).reshape(shape) ** 3
    first = np.zeros(shape, "i8")
    first[0] = -(2**62)
    single = random.random(shape).astype("f4") * 10.0 ** random.integers(-30, 30, shape)
    values = {"halves": halves, "digits": digits, "rare": rare, "stripes": stripes}
    return {**values, "counts": counts, "first": first, "single": single.astype("f4")}


async def opened_from(ds: xr.Dataset) -> PreparedDataset:
    store = MemoryStore()
    await asyncio.to_thread(ds.to_zarr, store, zarr_format=2)
    return prepare(await open_dataset(store))


async def opened_grown() -> PreparedDataset:
    shape = (20, 40, 30)
    dims = ("time", "y", "x")
    time = np.datetime64("2024-01-01", "ns") + np.arange(20) * np.timedelta64(1, "h")
    data = {name: (dims, values) for name, values in grown(shape).items()}
    ds = xr.Dataset({**data, "one": ((), 273.15)}, {"time": time, "x": np.arange(30) * 0.1})
    for name in grown(shape):
        ds[name].encoding["chunks"] = (6, 40, 7)
    return await opened_from(ds)


def drawn(random: np.random.Generator, names: list[str]) -> Selection:
    """A part: slices forward and back, lists, single positions; each third one is large."""
    along: dict[str, Along] = {}
    large = random.integers(3) == 0
    for dim, size in (("time", 20), ("y", 40), ("x", 30)):
        start, stop = sorted(random.integers(0, size, 2))
        if large:
            start, stop = random.integers(0, size // 4), random.integers(size * 3 // 4, size)
            along[dim] = PositionSlice(int(start), int(stop))
            continue
        match random.integers(5):
            case 0:
                along[dim] = Position(int(start))
            case 1:
                along[dim] = PositionSlice(int(start), int(stop) + 1, int(random.integers(1, 4)))
            case 2:
                along[dim] = PositionSlice(int(stop), None, -int(random.integers(1, 3)))
            case 3:
                many = random.integers(1, size)
                along[dim] = Positions(tuple(random.choice(size, many, replace=False).tolist()))
    chosen = names if large else random.choice(names, random.integers(1, 4), replace=False)
    return Selection(along, tuple(map(str, chosen)))


async def test_lengths_that_differ_from_place_to_place_are_told_rightly() -> None:
    """Hundreds of parts of values of which some are long and others short."""
    prepared = await opened_grown()
    names, random, sure = list(grown((1, 2, 2))), np.random.default_rng(4), 0
    for _ in range(12):
        learned = Learned()
        for _ in range(3):
            planned = plan(prepared, drawn(random, names))
            await answered(planned, learned, None if random.integers(2) else 2000)
        for _ in range(8):
            planned = plan(prepared, drawn(random, names))
            encoder = TEXTS[random.integers(len(TEXTS))]
            content = encoder.encode(await planned.read())
            sure += held(planned, encoder, learned, content)
    assert sure


@pytest.mark.parametrize("name", [*grown((1, 2, 2)), "one"])
@pytest.mark.parametrize("slabs", [None, 2000])
async def test_what_was_answered_is_known(name: str, slabs: int | None) -> None:
    """And what has little more than that, where it is not much longer."""
    prepared = await opened_grown()
    learned, whole = Learned(), plan(prepared, Selection({}, (name,)))
    parts: list[dict[str, Along]] = [{"y": PositionSlice(1, 40)}] if name != "one" else []
    for along in (*parts, {}):
        await answered(plan(prepared, Selection(along, (name,))), learned, slabs)
        for encoder in TEXTS:
            sure = held(whole, encoder, learned, encoder.encode(await whole.read()))
            assert sure or (along and name in ("rare", "first")), encoder.name


def test_memory_of_what_is_known_is_counted() -> None:
    """Whatever makes room for something else, or is known better by now."""
    learned, names = Learned(), [f"v{number}" for number in range(70)]
    for start in (0, 5, 0, 40):
        for name in names:
            places = np.arange(10)
            sample = Sample((range(start, start + 10), places), places / 2, places, start == 0)
            learned.keep(name, sample)
            kept = [one for name in names for one in learned.samples(name)]
            assert learned.nbytes == sum(one.nbytes for one in kept)
    assert learned.nbytes == 64 * 240


async def test_nothing_is_sure_of_what_was_not_seen() -> None:
    """Numbers may be short or long."""
    prepared = await opened_grown()
    learned = Learned()
    await answered(
        plan(prepared, Selection({"y": PositionSlice(0, 20)}, ("halves",))), learned, None
    )
    for part in (PositionSlice(20, 40), PositionSlice(15, 30), PositionSlice(0, 40)):
        planned = plan(prepared, Selection({"y": part}, ("halves",)))
        assert not held(planned, CSV, learned, CSV.encode(await planned.read()))


async def test_coordinates_are_known() -> None:
    """Labels are in memory, however many: nothing of them must be guessed."""
    ds = xr.Dataset(coords={"x": np.arange(50_000) / 7, "y": ["a" * n for n in range(9)]})
    prepared = await opened_from(ds)
    for names in (("x",), ("y",), ("x", "y"), ()):
        planned = plan(prepared, Selection({}, names or None))
        for encoder in TEXTS:
            assert held(planned, encoder, Learned(), encoder.encode(await planned.read()))

"""Attributes of any name and value, in every reader of NetCDF."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.encoders.netcdf_encoder import encode_netcdf
from tests.encoders.readers import by_both_engines, in_c
from tests.encoders.samples import attributes, scalars

PACKING = ["_FillValue", "missing_value", "scale_factor", "add_offset", "_Unsigned"]
MEANINGFUL = [*PACKING, "units", "calendar", "dtype"]
# Names that HDF5, the C library, netCDF4-python or xarray give a meaning of their own.
LOADED = [
    *("", " ", " a", "a b", "a/b", ".", "-a", "1a", "\0", "\n", "\ud800", "e\u0301", "x" * 300),
    *("CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "DIMENSION_LABELS"),
    *("_NCProperties", "_Netcdf4Dimid", "_Netcdf4Coordinates", "_nc3_strict", "_IsNetcdf4"),
    *("_SuperblockVersion", "_Format", "_Codecs", "_nczarr_array", "_ARRAY_DIMENSIONS"),
    *("_ChunkSizes", "_Storage", "_Endianness", "_DeflateLevel", "_Encoding", "char_dim_name"),
    "_QuantizeBitGroomNumberOfSignificantDigits",
    *("coordinates", "bounds", "grid_mapping", "cell_measures", "formula_terms", "axis"),
]
values = st.one_of(
    scalars,
    st.lists(scalars, max_size=3),
    st.sampled_from(
        [
            *("days since 2000-01-01", "hours", "true", "v w", "x" * 70_000),
            *([], [""], ["a", ""], [True], [1, 2**64], [1, 2.5], [1, None], [[]], [[1.0], []]),
            *(np.array([]), np.array(["a", "b"]), np.array([True]), np.array("s"), np.float16(0.1)),
            *({"a": [1, {"b": np.nan}]}, {1, 2}, range(3), [b"a"], ["a\0"], 2**63, -(2**63)),
        ]
    ),
)
loaded_attributes = st.dictionaries(st.sampled_from(LOADED), values, max_size=6)
modestly = settings(
    deadline=None, max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)

# What netCDF4-python says of valid_range and the like that are no numbers; it reads on.
pytestmark = pytest.mark.filterwarnings("ignore:WARNING. (valid|missing)")


@given(
    st.one_of(loaded_attributes, attributes),
    loaded_attributes,
    st.sampled_from(["f4", "i2", "?", "S3", "O", "M8[ns]", "m8[s]"]),
)
@modestly
def test_no_attribute_changes_what_is_read(
    general: dict[str, Any], own: dict[str, Any], dtype: str
) -> None:
    """Every attribute is there, in every reader, and none bends the values or the coordinates."""
    array = np.array(["a", "b"], "O") if dtype == "O" else np.array([1, 0]).astype(dtype)
    dataset = xr.Dataset(
        {"v": xr.Variable("x", array, own)}, coords={"w": ((), 1.0)}, attrs=general
    )
    content = encode_netcdf(dataset)
    with in_c(content) as file:
        assert len(file.ncattrs()) == len(general)
        assert len(file["v"].ncattrs()) >= len(own)
    for found in by_both_engines(content):
        assert set(found.coords) == {"w"}
        assert found.sizes == dataset.sizes
        xr.testing.assert_equal(found.v.variable, dataset.v.variable)
        assert len(found.attrs) == len(general)


# As of the store itself, if its two fill values differ.
@pytest.mark.filterwarnings("ignore:variable .* has multiple fill values")
@given(
    st.dictionaries(st.sampled_from(MEANINGFUL), values, min_size=1),
    st.sampled_from(["f4", "i2", "u1", "?", "S3", "O", "M8[ns]", "m8[s]"]),
)
@modestly
def test_attributes_with_a_meaning_never_break_a_file(own: dict[str, Any], dtype: str) -> None:
    """Packing attributes that no reader can apply are kept under another name."""
    array = np.array(["a", "b"], "O") if dtype == "O" else np.array([1, 0]).astype(dtype)
    content = encode_netcdf(xr.Dataset({"v": xr.Variable("x", array, own)}))
    with in_c(content):
        pass
    by_both_engines(content, decode_times=False)
    for found in by_both_engines(content, decode_cf=False):
        assert len(found.v.attrs) >= len(own)


@pytest.mark.parametrize("dtype", ["?", "S1", "M8[ns]", "m8[s]"])
@pytest.mark.parametrize("name", PACKING)
def test_packing_of_what_is_no_number(name: str, dtype: str) -> None:
    """Values that are no numbers cannot be packed, whatever their attributes say."""
    array = np.array([1, 0]).astype(dtype)
    dataset = xr.Dataset({"v": xr.Variable("x", array, {name: 1})})
    for found in by_both_engines(encode_netcdf(dataset)):
        xr.testing.assert_equal(found, dataset)
        assert f"{name}_" in found.v.attrs


@pytest.mark.parametrize("letter", ["a", "é", "☃", "\U0001f600"])
@pytest.mark.parametrize("length", [200, 255, 256, 300, 5000])
def test_long_names_are_cut_and_stay_distinct(letter: str, length: int) -> None:
    """Names longer than NetCDF allows still name two variables, a dimension and attributes."""
    name = letter * length
    dataset = xr.Dataset(
        {name: (name + "d", np.array([b"ab"]), {name: 1, name + "x": 2}), name + "x": 2}
    )
    for found in by_both_engines(encode_netcdf(dataset)):
        assert sorted(str(v.values.tolist()) for v in found.values()) == ["2", "[b'ab']"]
        attrs = [list(v.attrs.values()) for v in found.values() if v.attrs]
        assert attrs == [[1, 2]]


def test_numbers_of_quantization_are_kept() -> None:
    """What the C library itself writes of quantization comes back as it was."""
    attrs = {"_QuantizeBitGroomNumberOfSignificantDigits": np.int32(3)}
    for found in by_both_engines(encode_netcdf(xr.Dataset({"v": ("x", [1.0], attrs)}))):
        assert found.v.attrs == attrs


@pytest.mark.parametrize("value", [["a", "b"], np.array([1.0, 2.0]), {"a": 1}, True, "lat_bnds"])
def test_bounds_of_any_kind(value: Any) -> None:
    """An attribute called bounds that names no variable is only an attribute."""
    dataset = xr.Dataset({"v": ("x", [1.0], {"bounds": value})})
    for found in by_both_engines(encode_netcdf(dataset)):
        xr.testing.assert_equal(found, dataset)
        assert isinstance(found.v.attrs["bounds"], str)

"""Selection -> Plan -> a Dataset, or slabs of it: what every way in has in common."""

from sluice.engine.file_answer import FileAnswer, file_of, file_size, rows_excess, stream_memory
from sluice.engine.limits import ReadLimits, fitting, with_fitting
from sluice.engine.plan import Plan, plan
from sluice.engine.prepared import (
    PreparedDataset,
    describe,
    describe_prepared,
    explain,
    prepare,
)

__all__ = [
    "FileAnswer",
    "Plan",
    "PreparedDataset",
    "ReadLimits",
    "describe",
    "describe_prepared",
    "explain",
    "file_of",
    "file_size",
    "fitting",
    "plan",
    "prepare",
    "rows_excess",
    "stream_memory",
    "with_fitting",
]

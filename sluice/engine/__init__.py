"""Selection -> Plan -> a Dataset, or slabs of it: what every way in has in common."""

from sluice.engine.costs import Costs
from sluice.engine.estimates import (
    MOST_TIMES,
    Fitting,
    Learned,
    estimated_size,
    fitting,
    memory_excess,
    times_excess,
    with_fitting,
)
from sluice.engine.file_answer import FileAnswer, cells_excess, file_costs, file_of, file_size
from sluice.engine.plan import Plan, ReadLimits, plan
from sluice.engine.prepared import (
    PreparedDataset,
    describe,
    describe_prepared,
    explain,
    prepare,
)
from sluice.engine.row_answer import RowAnswer, rows_of
from sluice.engine.whole_file import write_deflated

__all__ = [
    "MOST_TIMES",
    "Costs",
    "FileAnswer",
    "Fitting",
    "Learned",
    "Plan",
    "PreparedDataset",
    "ReadLimits",
    "RowAnswer",
    "cells_excess",
    "describe",
    "describe_prepared",
    "estimated_size",
    "explain",
    "file_costs",
    "file_of",
    "file_size",
    "fitting",
    "memory_excess",
    "plan",
    "prepare",
    "rows_of",
    "times_excess",
    "with_fitting",
    "write_deflated",
]

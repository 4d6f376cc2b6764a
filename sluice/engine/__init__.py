"""From a `Selection` to a `Plan`, and from that to an answer: a Dataset, slabs, rows or a file."""

from sluice.datasets.read_plan import ReadLimits
from sluice.engine.costs import AT_ONCE, Costs
from sluice.engine.estimates import (
    Fitting,
    fitting,
    memory_excess,
    times_excess,
    with_fitting,
)
from sluice.engine.file_answer import FileAnswer, file_of, file_size
from sluice.engine.file_costs import MOST_DECIDING_CELLS, cells_excess, file_costs
from sluice.engine.learned import Learned, Sampler
from sluice.engine.plan import Plan, plan, plan_of_parts
from sluice.engine.prepared import (
    PreparedDataset,
    describe,
    describe_prepared,
    explain,
    prepare,
)
from sluice.engine.row_answer import RowAnswer, rows_of
from sluice.engine.text_sizes import estimated_size
from sluice.engine.whole_file import write_deflated

__all__ = [
    "AT_ONCE",
    "MOST_DECIDING_CELLS",
    "Costs",
    "FileAnswer",
    "Fitting",
    "Learned",
    "Plan",
    "PreparedDataset",
    "ReadLimits",
    "RowAnswer",
    "Sampler",
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
    "plan_of_parts",
    "prepare",
    "rows_of",
    "times_excess",
    "with_fitting",
    "write_deflated",
]

"""Selection -> Plan -> a Dataset, or slabs of it: what every way in has in common."""

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
    "Plan",
    "PreparedDataset",
    "ReadLimits",
    "describe",
    "describe_prepared",
    "explain",
    "fitting",
    "plan",
    "prepare",
    "with_fitting",
]

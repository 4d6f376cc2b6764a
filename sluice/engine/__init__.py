"""Selection -> Plan -> a Dataset, or slabs of it: what every way in has in common."""

from sluice.engine.description import describe_prepared
from sluice.engine.limits import ReadLimits
from sluice.engine.plan import Plan, plan
from sluice.engine.prepared import PreparedDataset, prepare

__all__ = ["Plan", "PreparedDataset", "ReadLimits", "describe_prepared", "plan", "prepare"]

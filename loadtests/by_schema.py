"""Requests that the OpenAPI document allows, and some that it does not, with schemathesis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import schemathesis
from hypothesis import strategies as st

# What a dataset has, the document cannot say: which names and labels there are, what goes together,
# what is too large. Requests that fit the document may be refused for that, and for nothing else.
_BY_THE_DATASET: Final = ["2xx", "3xx", "400", "401", "403", "404", "406", "409", "413", "422"]
_CONFIG: Final = {
    "checks": {"positive_data_acceptance": {"expected-statuses": _BY_THE_DATASET}},
}
# The document says all of what these may be, but for names.
_SAID_IN_FULL: Final = ("f", "explain", "method")


def operations(document: dict[str, Any]) -> list[Any]:
    """All operations of the document; raises what schemathesis has against one of them."""
    config = schemathesis.Config.from_dict(_CONFIG)
    schema = schemathesis.openapi.from_dict(document, config=config)
    return [_the_operation(found) for found in schema.get_all_operations()]


def _the_operation(found: Any) -> Any:
    # Ok or Err of the package; an Err raises here what is in it.
    return found.ok()


def draw_case(data: st.DataObject, among: Sequence[Any], datasets: Sequence[str]) -> Any:
    """A request, and whether the document allows it; most of them reach one of the `datasets`."""
    operation = data.draw(st.sampled_from(among), label="operation")
    mode = data.draw(st.sampled_from(list(schemathesis.GenerationMode)), label="mode")
    case = data.draw(operation.as_strategy(generation_mode=mode), label="case")
    if "dataset_id" in (case.path_parameters or {}) and data.draw(st.integers(0, 9)):
        case.path_parameters["dataset_id"] = data.draw(st.sampled_from(datasets))
    return case


def judge(case: Any, answer: Any) -> None:
    """Raise what any of schemathesis' checks has against the answer, or we have."""
    case.validate_response(answer)
    allowed = case.meta is None or case.meta.generation.mode.is_positive
    if allowed and answer.status_code == 400:
        problem = answer.json()
        name = problem.get("parameter")
        told = f"{case.method} {case.path} {case.query} {case.body!r:.300}: {problem['detail']}"
        exact = name == "method" and problem["detail"].startswith("method: positions are exact")
        # A path's suffix and a parameter that names another format.
        other = name == "f" and "is another format than the path's" in problem["detail"]
        assert exact or other or name not in _SAID_IN_FULL, f"the document allows it: {told}"

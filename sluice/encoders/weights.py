"""Weighted preferences of a client's header, such as ``Accept`` (RFC 9110 12.4.2)."""

from __future__ import annotations


def read_weights(header: str) -> dict[str, float]:
    """What is preferred, in lower case and without its other parameters, and its weight.

    Named twice, it has the larger weight; a weight that cannot be read counts as a refusal.
    """
    weights: dict[str, float] = {}
    for part in header.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                weight = _read_weight(parameter[2:])
        if name:
            weights[name] = max(weight, weights.get(name, 0.0))
    return weights


def _read_weight(text: str) -> float:
    whole, _, fraction = text.partition(".")
    if whole not in ("0", "1") or len(fraction) > 3 or (fraction and not fraction.isdecimal()):
        return 0.0
    return min(float(f"{whole}.{fraction or '0'}"), 1.0)

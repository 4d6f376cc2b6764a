"""A page with a form: which variables there are, and a way to ask for parts of them by hand.

It works without a script: what is sent with the form is answered by the address of the data. A
form sends all of its fields of text, so those of positions have one short name, are in the order
of the variables, and are empty where all positions are meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl, quote

from sluice.encoders.dap_variables import DapDataset, DapPart, DapVariable
from sluice.errors import QueryError, excerpt

# What keeps a page to itself: no script, and nothing of any other place (CSP 3).
GUARDS: Final = MappingProxyType(
    {
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
    }
)
MEDIA_TYPE: Final = "text/html; charset=utf-8"

# What the buttons ask for, and the words on them.
_BUTTONS: Final = MappingProxyType({"ascii": "As text", "dods": "As DAP2 data"})
_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:60em;padding:0 1em}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.2em .6em;"
    "border-bottom:1px solid #8884}code,input{font-family:ui-monospace,monospace}"
    "input[type=text]{width:100%;min-width:9em;box-sizing:border-box}:root{color-scheme:light dark}"
)
# The most letters of an attribute that are shown.
_MOST_LETTERS: Final = 200
_MOST_FIELDS: Final = 20_000
# Of "&at=" for each variable a URL becomes too long at some time.
_MOST_POSITIONS: Final = 2000
_TOO_MANY: Final = (
    "<p>These are too many variables for fields of positions: what is chosen is sent whole. Parts"
    " have an address that ends with <code>.ascii?name[0:1:9]</code> or <code>.dods?…</code>.</p>"
)


def page(dataset: DapDataset, dataset_id: str) -> str:
    """The form of a dataset, which is sent to the address of the page itself."""
    name, along = escape(dataset_id), _along_dimensions(dataset)
    too_many = len(along) > _MOST_POSITIONS
    rows = "".join([_row(one, with_field=not too_many) for one in dataset.variables])
    buttons = " ".join(
        f'<button name="as" value="{kind}">{words}</button>' for kind, words in _BUTTONS.items()
    )
    left = ""
    if dataset.left_out:
        left = f"<p>Not served here: {escape(', '.join(dataset.left_out)[:_MOST_LETTERS])}.</p>"
    return "".join(
        (
            _begun(f"{name}: OPeNDAP"),
            f"<p>{escape(str(dataset.attrs.get('title', ''))[:_MOST_LETTERS])}</p>",
            "<p>Clients of OPeNDAP (netCDF, xarray, pydap, NCO, CDO, R, MATLAB, Panoply) take the",
            " address of this page without its <code>.html</code>. Its documents:",
            *(f' <a href="{quote(dataset_id)}.{one}">{one}</a>' for one in ("dds", "das", "dmr")),
            ".</p>",
            _TOO_MANY if too_many else "",
            "<form><table><tr><th></th><th>Variable</th><th>What it is</th>",
            "<th>Positions: [first:stride:last], the last one included; empty: all</th></tr>",
            *(rows, "</table><p>", buttons, "</p></form>", left, "</main></body></html>\n"),
        )
    )


def _begun(title: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><main><h1>{title}</h1>"
    )


def _along_dimensions(dataset: DapDataset) -> list[str]:
    return [variable.stored for variable in dataset.variables if variable.dims]


def _row(variable: DapVariable, *, with_field: bool) -> str:
    name = variable.stored
    told = [variable.attrs.get(key) for key in ("long_name", "standard_name", "units")]
    words = ", ".join(escape(str(one)[:_MOST_LETTERS]) for one in told if isinstance(one, str))
    pairs = zip(variable.dims, variable.shape, strict=True)
    dims = "".join([f"[{dim} = {length}]" for dim, length in pairs])
    whole = _positions(DapPart.whole(variable))
    field = f'<input type="text" name="at" placeholder="{whole}" aria-label="Positions of {name}">'
    return (
        f'<tr><td><input type="checkbox" name="var" value="{name}" id="{name}"></td>'
        f'<td><label for="{name}"><code>{name}{dims}</code></label></td>'
        f"<td>{words}</td><td>{field if whole and with_field else ''}</td></tr>\n"
    )


def _positions(part: DapPart) -> str:
    return "".join([f"[{r[0]}:{r.step}:{r[-1]}]" for r in part.ranges])


def asked_by_form(dataset: DapDataset, query: bytes) -> tuple[str, str] | None:
    """The suffix and the constraint that the form was sent for; None where it was not.

    Raises `QueryError` for what the form does not send.
    """
    try:
        pairs = parse_qsl(
            query.decode(errors="replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        raise QueryError("these are too many fields for this form") from None
    fields = dict(pairs)
    twice = [name for name, value in pairs if name not in ("var", "at") and fields[name] != value]
    if twice:
        raise QueryError(f"{excerpt(twice[0])} is given twice, and differently", parameter=twice[0])
    kind = fields.get("as")
    if kind is None:
        return None
    if kind not in _BUTTONS:
        raise QueryError(f"this form asks for {' or '.join(_BUTTONS)}, not for {excerpt(kind)}")
    names = list(dict.fromkeys(value for key, value in pairs if key == "var"))
    places = [value for key, value in pairs if key == "at"]
    along = _along_dimensions(dataset) if places else []
    if len(places) != len(along):
        raise QueryError(
            f"the form has {len(places)} fields of positions for {len(along)} variables: if the"
            " dataset has changed, load the form again",
            parameter="at",
        )
    return kind, ",".join(_items(dataset, names, dict(zip(along, places, strict=True))))


def _items(dataset: DapDataset, names: list[str], places: dict[str, str]) -> Iterator[str]:
    for name in names:
        variable = dataset.by_name.get(name)
        asked = places.get(name, "").replace(" ", "")
        whole = variable is not None and asked == _positions(DapPart.whole(variable))
        yield quote(name if whole else f"{name}{asked}", safe="[]:,")


def problem(status: int, message: str) -> tuple[str, str]:
    """A page that says what was wrong."""
    return f"{_begun(str(status))}<p>{escape(message)}</p></main></body></html>\n", MEDIA_TYPE

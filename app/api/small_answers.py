"""The small answers, each as a model: the OpenAPI document is made of them, and tests hold it true.

Selections are not among them, whose values are written without a detour; nor is what comes as a
document from below (datasets, descriptions, explanations, facts of problems): that is written as it
is, and a test holds real answers against the models here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from sluice.aliases import Document

_REF: Final = "#/components/schemas/{model}"

# A label, or null, in whatever JSON has for it.
Label: TypeAlias = object


class Answer(BaseModel):
    """A JSON object with these members, and no others."""

    model_config = ConfigDict(extra="forbid")


class Healthy(Answer):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(Answer):
    """Whether the process takes requests."""

    status: Literal["ready", "stopping"]


class CatalogStatus(Answer):
    """Which datasets can be read."""

    status: Literal["ready", "unready"]
    datasets: Annotated[
        dict[str, str],
        Field(
            description="By id: `ready`, `stale` (it serves the version that it had: its store"
            " cannot be looked at, or has another that cannot be opened), `pending` (nobody has"
            " looked yet; ask again) or the kind of failure."
        ),
    ]


class DatasetVersion(Answer):
    """A dataset that was opened anew."""

    id: str
    version: str


class GroupsFound(Answer):
    """A hierarchy whose groups were enumerated anew: ids of datasets that came and that went.

    The version is that of its root, opened anew, where this is a dataset.
    """

    id: str
    version: str | None
    added: list[str]
    removed: list[str]


class CatalogChange(Answer):
    """How a catalog differs from the one before: ids of datasets."""

    added: list[str]
    changed: list[str]
    removed: list[str]


class DatasetSummary(Answer):
    """What the catalog says of a dataset; all but the first two are there where it says them."""

    id: str
    title: str | None
    description: Annotated[str, Field(description="What it is, for people.")] = ""
    license: Annotated[str, Field(description="What may be done with it.")] = ""
    attribution: Annotated[str, Field(description="Whom to name as its source.")] = ""


class ListedDataset(DatasetSummary):
    """A dataset, or a hierarchy each group of which will be one once they are known."""

    groups: Annotated[
        Literal["pending"], Field(description="There while the groups are not known yet.")
    ] = "pending"


class DatasetList(Answer):
    """The datasets of the catalog, in its order."""

    datasets: list[ListedDataset]


class Coordinate(Answer):
    """One coordinate of a dataset."""

    dims: list[str]
    dtype: str
    min: Annotated[
        Label, Field(description="The smallest label; null where labels are not indexed.")
    ]
    max: Annotated[
        Label, Field(description="The largest label; null where labels are not indexed.")
    ]
    step: Annotated[
        Label, Field(description="The distance of neighbours; null where it is not one.")
    ]
    attrs: dict[str, object]
    role: Annotated[
        Literal["X", "Y", "Z", "T"] | None, Field(description="What the axis stands for.")
    ]
    ascending: Annotated[bool | None, Field(description="null: neither rises nor falls.")]
    wraps: Annotated[bool | None, Field(description="It goes all the way round.")]
    calendar: Annotated[str | None, Field(description="Of times, as CF names it.")]
    values: Annotated[
        list[Label] | None,
        Field(description="All labels, up to 1,000; null where there are more."),
    ]


class DataVariable(Answer):
    """One data variable of a dataset."""

    dims: list[str]
    dtype: str
    chunks: list[int] | None
    shards: list[int] | None
    codecs: list[str]
    nbytes: Annotated[int, Field(description="Decoded size.")]
    attrs: dict[str, object]


class GridCoordinates(Answer):
    """The longitudes and latitudes of a grid's cells, by which `at` finds the nearest."""

    longitude: str
    latitude: str
    dims: list[str]


class DoorLink(Answer):
    """Where a dataset is served in another way: by a standard door, as a page, in a format."""

    door: Literal["native", "pages", "dap", "edr", "zarr"]
    href: Annotated[str, Field(description="Relative to the path of this description.")]
    title: str
    type: Annotated[str, Field(description="The media type.")]


class DatasetDescription(DatasetSummary):
    """What one dataset holds."""

    attrs: dict[str, object]
    dims: dict[str, int]
    coords: dict[str, Coordinate]
    data_vars: dict[str, DataVariable]
    unusable: Annotated[
        dict[str, str],
        Field(description="Variables of the store that cannot be used, and why."),
    ]
    grids: Annotated[
        list[GridCoordinates],
        Field(description="Where longitudes and latitudes of cells are known: `at` works."),
    ]
    links: Annotated[list[DoorLink], Field(description="Every way in which it is served.")]


class ExplainedCoordinate(Answer):
    """A coordinate that was chosen: its labels, or their ends where there are many, or neither."""

    dims: list[str]
    dtype: str
    data: Annotated[object, Field(description="All labels, up to 1,000.")] = None
    size: Annotated[int, Field(description="How many labels, where they are more.")] = 0
    first: Label = None
    last: Label = None
    step: Label = None


class ExplainedFormat(Answer):
    """What the answer would be in one format."""

    size: Annotated[
        int | None,
        Field(description="Bytes of the whole, before any coding; null where it cannot be."),
    ]
    rough: Annotated[
        bool,
        Field(
            description="Whether that is a guess. Of a text it is within about a tenth once the"
            " server has answered values of its variables as text."
        ),
    ]
    refused: Annotated[str, Field(description="Why it would be refused, where it would.")] = ""


class Forecast(Answer):
    """How long the answer would take."""

    seconds: Annotated[float, Field(description="Nothing in memory, and nobody else asking.")]
    rough: Annotated[bool, Field(description="Whether the server had nothing to measure yet.")]


class Excess(Answer):
    """The limit that is exceeded, and how many positions of which dimension would fit."""

    limited: str
    estimate: int
    limit: int
    dimension: str = ""
    positions: int = 0
    of: int = 0


class Place(Answer):
    """Which cells are nearest to the places of `at`, in their order."""

    positions: Annotated[
        dict[str, list[int]], Field(description="Along the dimensions of the grid.")
    ]
    distances_km: Annotated[list[float], Field(description="From the place to its cell.")]


class Explanation(Answer):
    """What a selection would hold and cost: the answer with `explain=true`."""

    dims: dict[str, int]
    result_bytes: int
    chunks: Annotated[int, Field(description="How many must be decoded.")]
    chunk_bytes: Annotated[int, Field(description="Their decoded size.")]
    coords: dict[str, ExplainedCoordinate]
    unmeasured: Annotated[
        list[str],
        Field(description="Variables whose texts count only once they are read."),
    ]
    within_limits: bool
    options: Annotated[
        dict[str, object],
        Field(description="Further options of the request, as they were read."),
    ] = {}
    decoded_chunks: Annotated[
        int | None,
        Field(
            description="How many are decoded in all, where some are several times; null where"
            " there are too many to say."
        ),
    ]
    most_times: Annotated[
        int | None, Field(description="How often that one which is decoded most often.")
    ]
    memory_bytes: Annotated[
        int | None, Field(description="The most that reading has in memory at once.")
    ]
    bytes: Annotated[dict[str, ExplainedFormat], Field(description="By format.")]
    forecast: Forecast
    excess: Annotated[
        Excess | None, Field(description="There where the answer is not within the limits.")
    ] = None
    at: Place | None = None


class Problem(BaseModel):
    """RFC 9457; further members are facts such as the parameter, range or limit."""

    model_config = ConfigDict(extra="allow")

    type: Annotated[str, Field(json_schema_extra={"format": "uri"})]
    title: str
    status: int
    detail: str


MODELS: Final[tuple[type[BaseModel], ...]] = (
    Healthy,
    Ready,
    CatalogStatus,
    DatasetVersion,
    GroupsFound,
    CatalogChange,
    DatasetList,
    DatasetDescription,
    Explanation,
    Problem,
)


class _Untitled(GenerateJsonSchema):
    """Members are called by their names alone."""

    def field_title_should_be_set(self, schema: object) -> bool:
        """Never: a title would repeat the name."""
        return False


def schemas(models: Iterable[type[BaseModel]] = MODELS) -> Document:
    """The JSON schemas of all models and their parts, by name, for the document's components."""
    mode: JsonSchemaMode = "validation"
    _, definitions = models_json_schema(
        [(model, mode) for model in models], ref_template=_REF, schema_generator=_Untitled
    )
    found: Document = definitions["$defs"]
    return found


def schema_of(model: type[BaseModel]) -> dict[str, str]:
    """Where the document has the schema of a model."""
    return {"$ref": _REF.format(model=model.__name__)}

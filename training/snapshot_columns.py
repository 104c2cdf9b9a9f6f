"""The columns of a snapshot: items and their shapes as Arrow tables, as Parquet, and as a digest of what is in them.

A row of ITEMS is an image; its shapes are the next `shapes` rows of SHAPES. Parquet's bytes hang on who wrote them; the
digest of the content does not.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from loop.domain.item import Split
from loop.domain.truth import Geometry, Shape, shape_from_json, shape_to_json

SPLITS = (Split.TRAIN, Split.VAL, Split.GOLDEN)  # a split is kept as its place here

# digest: SHA-256 of the image, ascending and each once. group: "" where the image stands alone.
ITEMS = pa.schema(
    [
        pa.field("digest", pa.binary(32), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("media_type", pa.string(), nullable=False),
        pa.field("group", pa.string(), nullable=False),
        pa.field("truth_version", pa.int32(), nullable=False),
        pa.field("submission_ids", pa.list_(pa.field("item", pa.string(), nullable=False)), nullable=False),
        pa.field("split", pa.int8(), nullable=False),
        pa.field("shapes", pa.int32(), nullable=False),
    ]
)
SIDES = ("x1", "y1", "x2", "y2")
# label: index into the labels of the snapshot. x1 …: pixels. more: what is known of a shape but for these, as canonical
# JSON (`shape_to_json`); "" for a plain box.
SHAPES = pa.schema(
    [
        pa.field("label", pa.int32(), nullable=False),
        *(pa.field(side, pa.float64(), nullable=False) for side in SIDES),
        pa.field("more", pa.large_string(), nullable=False),
    ]
)
_ROWS_OF_A_GROUP = 1 << 17


def more_of(shape: Shape) -> str:
    """What SHAPES has in `more`; equal shapes give equal text."""
    plain = shape.type is Geometry.BOX and shape.keyframe and shape.frame is None and not shape.outside
    if plain and not (shape.id or shape.attributes or shape.links or shape.group or shape.track):
        return ""
    body = shape_to_json(shape)
    del body["label"], body["box"]
    if "points" in body:
        body["points"] = [[x + 0.0, y + 0.0] for x, y in body["points"]]  # no negative zero
    return canonical(body) if body else ""


def shape_of(label: str, box: list[float], more: str) -> Shape:
    """Raises KeyError, TypeError or ValueError for what `more_of` never gives."""
    x1, y1, x2, y2 = box
    if not more:
        return Shape(label, (x1, y1, x2, y2))
    return shape_from_json({**json.loads(more), "label": label, "box": box})


def canonical(body: object) -> str:
    """JSON with sorted keys and no spaces: equal bodies have equal text."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def whole(table: pa.Table) -> pa.Table:
    """In one piece, so that rows are found at once."""
    return table.combine_chunks()


def column(table: pa.Table, name: str) -> NDArray[Any]:
    """(n,) of a column of numbers."""
    return np.asarray(table[name].to_numpy())


# --- which bytes they are --------------------------------------------------------------------------------------------


def content_of(table: pa.Table) -> str:
    """SHA-256 of what is in the columns, whatever the pieces they come in: of each column a digest of its values
    (little-endian numbers, UTF-8) and, where they have lengths, of these."""
    checksums: dict[str, Any] = defaultdict(hashlib.sha256)
    for field in table.schema:
        for chunk in table[field.name].chunks:
            for part, values in _streams(field.name, chunk):
                checksums[part].update(np.ascontiguousarray(values).view(np.uint8))
    told = {part: checksum.hexdigest() for part, checksum in checksums.items()}
    rows = {"rows": table.num_rows, "columns": table.schema.names}
    return hashlib.sha256(canonical({**rows, "values": told}).encode()).hexdigest()


def _streams(name: str, array: pa.Array) -> Iterator[tuple[str, NDArray[Any]]]:
    kind = array.type
    if not len(array):
        return
    if pa.types.is_list(kind):
        yield f"{name}.lengths", pc.list_value_length(array).to_numpy().astype("<i8")
        yield from _streams(f"{name}.item", array.flatten())
    elif pa.types.is_fixed_size_binary(kind):
        width = kind.byte_width
        begin = array.offset * width
        yield name, np.frombuffer(array.buffers()[1], np.uint8)[begin : begin + len(array) * width]
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        yield f"{name}.lengths", pc.binary_length(array).to_numpy().astype("<i8")
        width = np.int64 if pa.types.is_large_string(kind) else np.int32
        offsets = np.frombuffer(array.buffers()[1], width)[array.offset : array.offset + len(array) + 1]
        if offsets[-1] > offsets[0]:
            yield name, np.frombuffer(array.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    else:
        values = array.to_numpy()
        yield name, values.astype(values.dtype.newbyteorder("<"))


def to_parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(
        table, sink, compression="zstd", use_dictionary=["media_type", "group", "label"], write_statistics=False,
        row_group_size=_ROWS_OF_A_GROUP,
    )  # fmt: skip
    return bytes(memoryview(sink.getvalue()))


def has_digest(content: bytes, digest: bytes) -> bool:
    """Whether Parquet of ITEMS has an item with this digest."""
    column = pq.read_table(pa.BufferReader(content), columns=["digest"], use_threads=False)["digest"]
    return bool(pc.index(column, pa.scalar(digest, column.type)).as_py() >= 0)


def from_parquet(content: bytes, schema: pa.Schema) -> pa.Table:
    """Raises ValueError unless these are just the columns of `schema`."""
    table = pq.read_table(pa.BufferReader(content), use_threads=False)
    if not table.schema.equals(schema) or any(table[name].null_count for name in schema.names):
        raise ValueError(f"these are other columns than {', '.join(schema.names)}")
    return whole(table)

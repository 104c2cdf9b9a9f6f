"""The columns of a map as an Arrow IPC stream, which a notebook or a page reads at the speed of memory."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from loop.domain.errors import Invalid

STATES = ("open", "task", "truth")  # nobody has looked at the item; it has, or had, a task; it has its truth
_FORMAT = "1"
_ROWS_OF_A_BATCH = 65_536

_ITEM = pa.binary(32)
_MOMENT = pa.timestamp("us", tz="UTC")
_NAME = pa.dictionary(pa.int32(), pa.string())
# item: SHA-256 of the image. x, y: see selection/layout.py. risk, anomaly_p: in [0, 1]. score, label: of the detection
# with the largest score, null where nothing was detected. fitted: False where it was placed beside those that were.
SCHEMA = pa.schema(
    [
        pa.field("item", _ITEM, nullable=False),
        pa.field("x", pa.float32(), nullable=False),
        pa.field("y", pa.float32(), nullable=False),
        pa.field("risk", pa.float32(), nullable=False),
        pa.field("anomaly_p", pa.float32(), nullable=False),
        pa.field("score", pa.float32()),
        pa.field("label", _NAME),
        pa.field("source", _NAME, nullable=False),
        pa.field("state", pa.dictionary(pa.int8(), pa.string()), nullable=False),
        pa.field("predicted_at", _MOMENT, nullable=False),
        pa.field("fitted", pa.bool_(), nullable=False),
    ]
)
# Those that are known of an item before it has its place, names as plain text.
FACTS = pa.schema(
    [
        pa.field("item", _ITEM),
        pa.field("risk", pa.float32()),
        pa.field("anomaly_p", pa.float32()),
        pa.field("score", pa.float32()),
        pa.field("label", pa.string()),
        pa.field("source", pa.string()),
        pa.field("predicted_at", _MOMENT),
    ]
)


def facts_page(
    *,
    items: Iterable[str],
    risk: Sequence[float],
    anomaly_p: Sequence[float],
    score: Sequence[float | None],
    label: Sequence[str | None],
    source: Sequence[str],
    predicted_at: Sequence[datetime],
) -> pa.RecordBatch:
    """Some rows of FACTS. items: digests, 64 hex digits."""
    columns = (identities(items), risk, anomaly_p, score, label, source, predicted_at)
    arrays = [pa.array(column, kind.type) for column, kind in zip(columns, FACTS, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=FACTS)


def facts_of(table: pa.Table) -> pa.Table:
    """FACTS of a map."""
    return table.select(FACTS.names).cast(FACTS).replace_schema_metadata()


def identities(items: Iterable[str]) -> pa.Array:
    """Digests as the map has them."""
    return pa.array([bytes.fromhex(item) for item in items], _ITEM)


def positions_of(table: pa.Table) -> NDArray[np.float32]:
    """(n, 2)"""
    return np.column_stack([table["x"].to_numpy(), table["y"].to_numpy()])


def map_table(
    facts: pa.Table, positions: NDArray[np.float32], fitted: NDArray[np.bool_], *, tasks: pa.Array, truths: pa.Array
) -> pa.Table:
    """n rows of SCHEMA. facts: of FACTS. positions: (n, 2). fitted: (n,). tasks, truths: `identities` of all items that
    have them."""
    item = facts["item"].combine_chunks()
    state = pc.if_else(pc.is_in(item, truths), 2, pc.if_else(pc.is_in(item, tasks), 1, 0)).cast(pa.int8())
    columns = {name: facts[name] for name in FACTS.names} | {
        "x": pa.array(positions[:, 0], pa.float32()),
        "y": pa.array(positions[:, 1], pa.float32()),
        "label": facts["label"].combine_chunks().dictionary_encode(),
        "source": facts["source"].combine_chunks().dictionary_encode(),
        "state": pa.DictionaryArray.from_arrays(state, list(STATES)),
        "fitted": pa.array(fitted),
    }
    return pa.table([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def write_map(table: pa.Table, about: Mapping[str, str]) -> bytes:
    """The bytes of an Arrow IPC stream. about: kept in the schema's metadata."""
    sink = pa.BufferOutputStream()
    schema = SCHEMA.with_metadata({"askance.map": _FORMAT, **about})
    with pa.ipc.new_stream(sink, schema) as stream:
        stream.write_table(table.combine_chunks().cast(schema), max_chunksize=_ROWS_OF_A_BATCH)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def read_map(content: bytes) -> pa.Table:
    """What `write_map` wrote, its `about` in the schema's metadata. Raises Invalid for anything else."""
    try:
        table = pa.ipc.open_stream(content).read_all()
    except (pa.ArrowException, OSError, EOFError) as error:
        raise Invalid(f"this is no Arrow stream: {error}.", hint="Ask the service for the map again.") from error
    about = table.schema.metadata or {}
    if about.get(b"askance.map") != _FORMAT.encode() or not table.schema.equals(SCHEMA):
        raise Invalid(
            "these columns are not those of a map as this version of Askance knows it.",
            hint="Use the same version of Askance as the service does.",
        )
    return table

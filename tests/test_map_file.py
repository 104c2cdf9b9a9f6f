"""The columns of a map: what was written comes back, and nothing else is taken for it."""

from datetime import UTC, datetime
from itertools import repeat

import numpy as np
import pyarrow as pa
import pytest

from loop.domain.errors import Invalid
from selection.map_file import (
    FACTS,
    SCHEMA,
    facts_of,
    facts_page,
    identities,
    map_table,
    positions_of,
    read_map,
    write_map,
)

NOW = datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
ITEMS = [f"{number:064x}" for number in (7, 0, 255, 1 << 255, 256)]  # zeros at both ends count


def table(items: list[str] = ITEMS, *, tasks: tuple[str, ...] = (), truths: tuple[str, ...] = ()) -> pa.Table:
    n = len(items)
    page = facts_page(
        items=items, risk=np.linspace(0, 1, n).tolist(), anomaly_p=[0.5] * n, score=[None, *repeat(0.25, n)][:n],
        label=[None, *repeat("Größe <b>", n)][:n], source=[f"camera {row % 2}" for row in range(n)],
        predicted_at=[NOW] * n,
    )  # fmt: skip
    return map_table(
        pa.Table.from_batches([page], FACTS), np.arange(2 * n, dtype=np.float32).reshape(n, 2), np.arange(n) % 2 == 0,
        tasks=identities(tasks), truths=identities(truths),
    )  # fmt: skip


def test_a_map_comes_back_from_its_stream() -> None:
    """Every column, names by a dictionary, nothing detected as null, times to the microsecond."""
    written = table()
    read = read_map(write_map(written, {"project": "p"}))
    assert read.equals(written)
    assert read.schema.equals(SCHEMA)
    assert read.schema.metadata[b"project"] == b"p"
    row = read.slice(1, 1).to_pylist()[0]
    assert row == {
        "item": bytes.fromhex(ITEMS[1]), "x": 2.0, "y": 3.0, "risk": 0.25, "anomaly_p": 0.5, "score": 0.25,
        "label": "Größe <b>", "source": "camera 1", "state": "open", "predicted_at": NOW, "fitted": False,
    }  # fmt: skip
    assert read["label"][0].as_py() is read["score"][0].as_py() is None


def test_any_reader_of_arrow_streams_reads_it() -> None:
    """Uncompressed, which browsers can read, too."""
    with pa.ipc.open_stream(write_map(table(), {})) as stream:
        assert stream.read_all().num_rows == len(ITEMS)


def test_an_item_with_its_truth_has_no_task_that_matters() -> None:
    """open, task or truth, the last that holds; items of which there is no point change nothing."""
    drawn = table(tasks=(ITEMS[1], ITEMS[2], "e" * 64), truths=(ITEMS[2], "d" * 64))
    assert drawn["state"].to_pylist() == ["open", "task", "truth", "open", "open"]


def test_an_empty_map_is_one() -> None:
    empty = table([])
    assert read_map(write_map(empty, {})).num_rows == 0
    assert positions_of(empty).shape == (0, 2)


def test_what_is_known_of_points_comes_back_to_be_drawn_again() -> None:
    """So that more rows can be put behind them."""
    drawn = table()
    more = pa.concat_tables([facts_of(drawn), facts_of(table(["a" * 64]))])
    assert more.schema.equals(FACTS)
    assert more["source"].to_pylist()[-2:] == ["camera 0", "camera 0"]


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xff\xff\xff\x10\x00\x00\x00rubbish"])
def test_what_is_no_stream_is_refused(content: bytes) -> None:
    with pytest.raises(Invalid):
        read_map(content)


def test_a_stream_that_is_cut_is_refused() -> None:
    whole = write_map(table(), {})
    with pytest.raises(Invalid):
        read_map(whole[: len(whole) // 2])


def test_columns_of_something_else_are_refused() -> None:
    sink = pa.BufferOutputStream()
    other = pa.table({"x": [1.0]})
    with pa.ipc.new_stream(sink, other.schema) as stream:
        stream.write_table(other)
    with pytest.raises(Invalid, match="not those of a map"):
        read_map(sink.getvalue().to_pybytes())

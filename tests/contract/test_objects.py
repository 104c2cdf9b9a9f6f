"""Embeddings of detections as the store keeps them, on both databases."""

import numpy as np
import pytest
import sqlalchemy as sa
from numpy.typing import NDArray

from loop.domain.ports import Store
from loop.domain.prediction import OBJECT_DIM
from loop.domain.selection import Part
from tests.contract.records import PROJECT, a_model, a_prediction, digest, furnish, later


def features(count: int, seed: int = 0) -> NDArray[np.float16]:
    """With what float16 has of odd values."""
    made = np.random.default_rng(seed).normal(size=(count, OBJECT_DIM)).astype(np.float16)
    made[:1, :3] = [6e-8, -0.0, 65504.0]
    return made


@pytest.fixture
def filled(store: Store) -> Store:
    """Predictions of three items, the middle one without embeddings; and of another model."""
    furnish(store, items=3, models=2)
    with store.begin() as tx:
        given = [a_prediction(number, item=number) for number in range(3)]
        other = a_prediction(9, item=0, model=1, at=later(9))
        tx.predictions.add_all([*given, other])
        tx.objects.add_all([(given[0], features(2)), (given[2], features(50, 2)), (other, features(1, 9))])
    return store


def same(one: NDArray[np.float16] | None, other: NDArray[np.float16]) -> bool:
    return one is not None and (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())


def test_they_come_back_to_the_bit(filled: Store) -> None:
    with filled.read() as tx:
        assert same(tx.objects.of(a_prediction(0).id), features(2))
        assert same(tx.objects.of(a_prediction(2).id), features(50, 2))
        assert tx.objects.of(a_prediction(1).id) is None


def test_a_reader_follows_them_in_the_order_of_commits(filled: Store) -> None:
    """Of one model version, from the last number it saw; nothing twice."""
    model = a_model(0).id
    with filled.begin() as tx:
        late = a_prediction(4, item=1, at=later(3))
        tx.predictions.add(late)
        tx.objects.add_all([(late, features(3, 4))])
    with filled.read() as tx:
        everything = tx.objects.after(PROJECT, model, 0, 10)
        assert [one.prediction_id for one in everything] == [a_prediction(number).id for number in (0, 2, 4)]
        assert [one.item_digest for one in everything] == [digest(0), digest(2), digest(1)]
        assert same(everything[2].features, features(3, 4))
        first, *rest = everything
        again = tx.objects.after(PROJECT, model, first.sequence, 1)
        assert [one.sequence for one in again] == [rest[0].sequence] > [first.sequence]
        assert tx.objects.after(PROJECT, model, rest[-1].sequence, 10) == []
        assert tx.objects.after("other", model, 0, 10) == []


def test_candidates_bring_them_where_they_are_asked_for(filled: Store) -> None:
    with filled.read() as tx:
        asked = tx.predictions.candidates(PROJECT, a_model(0).id, after=0, limit=10, parts=tuple(Part))
        plain = tx.predictions.candidates(
            PROJECT, a_model(0).id, after=0, limit=10, parts=(Part.SIGNALS, Part.DETECTIONS)
        )
    assert same(asked[0].objects, features(2)) and same(asked[2].objects, features(50, 2))
    assert asked[1].objects is None
    assert all(one.objects is None for one in plain)
    assert [one.prediction_id for one in asked] == [one.prediction_id for one in plain]


@pytest.mark.parametrize("width", [0, 1, 64, 127])
def test_zeros_at_the_end_come_back(filled: Store, width: int) -> None:
    """They take no room: narrow networks have many."""
    prediction, given = a_prediction(1, item=1), features(3)
    given[:, width:] = 0.0
    with filled.begin() as tx:
        tx.objects.add_all([(prediction, given)])
    with filled.read() as tx:
        back = tx.objects.of(prediction.id)
    assert back is not None and np.array_equal(back, given)


@pytest.mark.parametrize("shape", [(2, 64), (0, 128), (128,)])
def test_another_shape_is_refused(filled: Store, shape: tuple[int, ...]) -> None:
    """It would be read as other vectors."""
    prediction = a_prediction(1, item=1)
    with pytest.raises(sa.exc.StatementError, match="128 numbers each"), filled.begin() as tx:
        tx.objects.add_all([(prediction, np.zeros(shape, dtype=np.float16))])


def test_what_is_rolled_back_was_never_there(filled: Store) -> None:
    with pytest.raises(RuntimeError), filled.begin() as tx:
        prediction = a_prediction(5, item=1)
        tx.predictions.add(prediction)
        tx.objects.add_all([(prediction, features(1))])
        raise RuntimeError
    with filled.read() as tx:
        assert tx.objects.of(a_prediction(5).id) is None


def test_embeddings_are_looked_up_by_their_predictions(filled: Store) -> None:
    """Of images and of objects, to the bit; without those that there are not, or that are another project's."""
    names = [a_prediction(number).id for number in range(3)]
    with filled.read() as tx:
        images = tx.embeddings.of_images(PROJECT, [*names, "nothing"])
        objects = tx.embeddings.of_objects(PROJECT, [*names, "nothing"])
        assert tx.embeddings.of_images(PROJECT, []) == {}
        assert tx.embeddings.of_images("other", names) == tx.embeddings.of_objects("other", names) == {}
    assert {name: one.tobytes() for name, one in images.items()} == {
        name: a_prediction(number).embedding.tobytes() for number, name in enumerate(names)
    }
    assert objects.keys() == {names[0], names[2]}
    assert same(objects[names[0]], features(2)) and same(objects[names[2]], features(50, 2))


def test_as_many_embeddings_are_looked_up_as_are_asked_for(filled: Store) -> None:
    """Also more than a statement can name."""
    names = [f"nothing {number}" for number in range(40_000)]
    with filled.read() as tx:
        assert list(tx.embeddings.of_images(PROJECT, [*names, a_prediction(1).id])) == [a_prediction(1).id]

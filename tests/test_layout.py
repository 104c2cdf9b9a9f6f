"""Where embeddings lie on the map."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.manifold import trustworthiness

from loop.domain.errors import Invalid
from selection.layout import Layout, fit


def unit(points: NDArray[np.floating]) -> NDArray[np.float32]:
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def groups(per_group: int, count: int = 6, dim: int = 16, seed: int = 0) -> NDArray[np.float32]:
    """(count * per_group, dim): far from each other, one group after the other."""
    rng = np.random.default_rng(seed)
    means = np.linalg.qr(rng.normal(size=(dim, dim)))[0][:count]
    return unit(np.repeat(means, per_group, axis=0) + 0.05 * rng.normal(size=(count * per_group, dim)))


@pytest.fixture(scope="module")
def embeddings() -> NDArray[np.float32]:
    return groups(50)


@pytest.fixture(scope="module")
def layout(embeddings: NDArray[np.float32]) -> Layout:
    made, rows = fit(embeddings, seed=3)
    assert np.array_equal(rows, np.arange(len(embeddings)))
    return made


def group_of(positions: NDArray[np.float32], layout: Layout, per_group: int = 50) -> NDArray[np.intp]:
    """The group of the representative that each position is nearest to."""
    distances = np.linalg.norm(positions[:, None] - layout.positions[None], axis=2)
    return distances.argmin(axis=1) // per_group


def test_what_is_alike_lies_together(embeddings: NDArray[np.float32], layout: Layout) -> None:
    assert trustworthiness(embeddings, layout.positions, n_neighbors=10) > 0.95


def test_the_same_seed_gives_the_same_map(embeddings: NDArray[np.float32], layout: Layout) -> None:
    assert np.array_equal(fit(embeddings, seed=3)[0].positions, layout.positions)
    assert not np.array_equal(fit(embeddings, seed=4)[0].positions, layout.positions)


def test_new_points_lie_with_what_they_are_like(layout: Layout) -> None:
    """In their own group, whichever that is."""
    placed = layout.place(groups(20))  # the same groups, other members
    assert np.array_equal(group_of(placed, layout), np.repeat(np.arange(6), 20))


def test_what_equals_a_representative_lies_where_that_does(embeddings: NDArray[np.float32], layout: Layout) -> None:
    width = np.ptp(layout.positions, axis=0).max()
    assert np.abs(layout.place(embeddings) - layout.positions).max() < 1e-5 * width


def test_a_point_is_placed_alone_as_among_others(layout: Layout) -> None:
    """So that nothing that comes later moves it."""
    new = groups(4)
    assert np.allclose(layout.place(new)[7], layout.place(new[7:8])[0], rtol=1e-4)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31))
def test_nothing_lies_between_two_places(seed: int) -> None:
    """However much a point is like both: a mean of their positions would be like neither."""
    rng = np.random.default_rng(seed)
    representatives = groups(15, count=2, dim=8, seed=seed)
    positions = np.concatenate([rng.normal(0.0, 1.0, (15, 2)), rng.normal(1000.0, 1.0, (15, 2))]).astype(np.float32)
    between = unit(representatives[:15] + rng.uniform(0.5, 2.0, (15, 1)) * representatives[15:])
    placed = Layout(representatives, positions).place(between)
    near_one = np.abs(placed).max(axis=1) < 100
    near_other = np.abs(placed - 1000.0).max(axis=1) < 100
    assert (near_one | near_other).all()


def test_many_representatives_place_as_few_do() -> None:
    """They are not all looked at then; the same points lie in the same places at every call all the same."""
    rng = np.random.default_rng(0)
    representatives = unit(rng.normal(size=(2500, 8)))
    layout = Layout(representatives, representatives[:, :2] * 10)
    assert np.abs(layout.place(representatives) - layout.positions).max() < 1e-4
    new = unit(rng.normal(size=(500, 8)))
    placed = layout.place(new)
    assert np.array_equal(layout.place(new), placed)
    exact = [int(np.argmax(representatives @ one)) for one in new]
    own = np.linalg.norm(placed - layout.positions[exact], axis=1)
    others = np.linalg.norm(placed - layout.positions[rng.permutation(exact)], axis=1)
    assert np.median(own) < 0.5 * np.median(others)


@pytest.mark.parametrize("count", [1, 2, 3, 16, 44, 45, 46])
def test_few_points_have_their_places_too(count: int) -> None:
    """All finite, and different ones apart."""
    points = groups(50)[::5][:count]
    made, rows = fit(points, seed=0)
    assert made.positions.shape == (count, 2)
    assert np.isfinite(made.positions).all()
    assert len(np.unique(made.positions, axis=0)) == count == len(rows)
    assert np.isfinite(made.place(groups(9))).all()


def test_equal_embeddings_have_one_representative(embeddings: NDArray[np.float32]) -> None:
    """The first of them; the others lie where it does."""
    same = np.repeat(embeddings[:1], 100, axis=0)
    made, rows = fit(same, seed=0)
    assert rows.tolist() == [0]
    assert np.array_equal(made.place(same), np.zeros((100, 2)))
    twice, rows = fit(np.concatenate([embeddings[:20], embeddings[:20]]), seed=0)
    assert rows.tolist() == list(range(20))
    assert len(twice.positions) == 20


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_no_number_is_refused(embeddings: NDArray[np.float32], layout: Layout, wrong: float) -> None:
    bad = embeddings.copy()
    bad[7, 3] = wrong
    for attempt in (lambda: fit(bad, seed=0), lambda: layout.place(bad)):
        with pytest.raises(Invalid, match="NaN or infinity"):
            attempt()


def test_points_of_another_space_are_refused(layout: Layout) -> None:
    with pytest.raises(Invalid, match="do not fit an index of width 16"):
        layout.place(groups(3, dim=8))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.floats(0, 2 * np.pi), st.floats(0.01, 100), st.booleans())
def test_a_map_is_turned_to_look_as_before(seed: int, angle: float, scale: float, mirrored: bool) -> None:
    """Turned, mirrored, scaled, shifted: all is undone by what is on both maps."""
    rng = np.random.default_rng(seed)
    before = rng.normal(size=(30, 2)).astype(np.float32)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = scale * before @ turn * ([-1, 1] if mirrored else [1, 1]) + rng.normal(size=2)
    layout = Layout(rng.normal(size=(30, 4)).astype(np.float32), moved.astype(np.float32))
    known = np.arange(0, 30, 3)
    assert np.allclose(layout.aligned(known, before[known]).positions, before, atol=1e-2)


def test_a_map_that_shares_too_little_stays_as_it_is() -> None:
    """Two points do not say whether it was mirrored; many in one place do not say how it was turned."""
    layout = Layout(np.eye(4, dtype=np.float32), np.array([[0, 0], [0, 0], [0, 0], [1, 1]], dtype=np.float32))
    for rows, before in (([], np.empty((0, 2))), ([0, 3], np.ones((2, 2))), ([0, 1, 2], np.arange(6).reshape(3, 2))):
        same = layout.aligned(np.array(rows, dtype=np.intp), np.asarray(before, dtype=np.float32))
        assert np.array_equal(same.positions, layout.positions)


def test_a_layout_comes_back_from_its_bytes(layout: Layout) -> None:
    """And no two have the same: who removes one takes nothing from another."""
    content = layout.to_bytes("a")
    again = Layout.from_bytes(content)
    assert np.array_equal(again.positions, layout.positions)
    assert np.array_equal(again.embeddings, layout.embeddings)
    assert content != layout.to_bytes("b")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"\x80\x04K\x03.", b"\x93NUMPY"])
def test_bytes_that_are_no_layout_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError):
        Layout.from_bytes(content)

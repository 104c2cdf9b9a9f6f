"""The functions that come along: what they do to shapes and pixels."""

import re
import tomllib
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.functions import GROUP, Context, FunctionItem
from loop.domain.truth import Geometry, Link, Shape, checked_shapes, drawn
from loop.functions.examples.group_shapes import group_shapes
from loop.functions.examples.redact import redact
from loop.functions.examples.snap_to_image import snap_to_image
from tests.packages import shipped_functions

WIDTH, HEIGHT = 100, 80
DOCS = Path(__file__).resolve().parents[1] / "docs" / "functions.md"


def context(shapes=(), selected=(), image=None, **options) -> Context:
    item = FunctionItem("d", WIDTH, HEIGHT, {}, lambda: image)
    return Context("p", "button", {}, item, tuple(shapes), tuple(selected), options)


def box(x1, y1, x2, y2, name="", label="face", **more) -> Shape:
    return Shape(label, (float(x1), float(y1), float(x2), float(y2)), id=name, **more)


def test_what_we_register_is_there():
    """Each entry point of our own package leads to a function."""
    for target in shipped_functions().values():
        module, name = target.split(":")
        assert callable(getattr(import_module(module), name))


def test_selected_shapes_get_one_group():
    """A free one, or that of the first which has one; the others stay as they are."""
    shapes = [box(0, 0, 9, 9, name) for name in "abc"]
    result = group_shapes(context(shapes, "ac"))
    assert [one.group for one in result.shapes] == ["g1", "", "g1"]
    result = group_shapes(context([*result.shapes, box(0, 0, 9, 9, "d")], "bd"))
    assert [one.group for one in result.shapes] == ["g1", "g2", "g1", "g2"]
    result = group_shapes(context(result.shapes, "bcd"))
    assert [one.group for one in result.shapes] == ["g1", "g2", "g2", "g2"]
    assert group_shapes(context(shapes, "a")).shapes is None


def test_edges_snap_to_the_border_and_shapes_to_the_image():
    """Within so many pixels; what lies outside goes, and links to it."""
    shapes = [
        box(3, 4, 98, 60, "near", links=(Link("of", "gone"),)),
        box(-20, 10, 50, 200, "out"),
        box(200, 200, 210, 210, "gone"),
        box(96, 10, 99, 20, "thin"),
        drawn(Geometry.POLYGON, "face", [(10, 10), (150, 10), (10, 60)], id="polygon"),
        drawn(Geometry.POINT, "face", [(500, 5)], id="point"),
    ]
    result = snap_to_image(context(shapes, pixels=5))
    assert {one.id: one.box for one in result.shapes} == {
        "near": (0, 0, 100, 60),
        "out": (0, 10, 50, 80),
        "thin": (96, 10, 99, 20),
        "polygon": (10, 10, 100, 60),
    }
    assert result.shapes[0].links == ()
    assert result.messages == ["3 shapes were moved.", "2 shapes lay outside the image and were left out."]


@given(
    st.lists(
        st.tuples(*[st.floats(-300, 300, allow_nan=False)] * 4).map(
            lambda s: box(min(s[0], s[2]), min(s[1], s[3]), max(s[0], s[2]), max(s[1], s[3]))
        ),
        max_size=5,
    ),
    st.floats(0, 50),
)
def test_what_was_snapped_can_be_kept(shapes, pixels):
    """Whatever boxes a person drew, a recipe that knows the labels takes what comes back."""
    kept = snap_to_image(context(shapes, pixels=pixels)).shapes
    assert checked_shapes(kept, labels=["face"], width=WIDTH, height=HEIGHT) == tuple(kept)


def test_a_region_is_redacted_and_nothing_else():
    """Its pixels are averages of few; outside of it and its margin nothing changes, nor in the image that was given."""
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    before = pixels.copy()
    shapes = [box(20, 20, 60, 60), box(70, 5, 95, 30, label="car")]
    result = redact(context(shapes, image=pixels, labels=["face"], cells=4, margin=0.1))
    assert (pixels == before).all()
    assert result.image.shape == pixels.shape
    changed = (result.image != pixels).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (16, 63, 16, 63)
    region = result.image[20:60, 20:60].astype(float)
    assert region.std() < 0.2 * before[20:60, 20:60].std()
    assert tuple(result.shapes) == tuple(shapes)


def test_nothing_to_redact_makes_no_image():
    """So that no copies come of images without such regions."""
    assert redact(context([box(0, 0, 9, 9, label="car")], labels=["face"])).image is None


@pytest.mark.parametrize("options", [{}, {"labels": []}, {"labels": "face"}, {"labels": ["face"], "cells": 0}])
def test_options_that_cannot_be_are_told(options):
    """Rather than nothing being redacted."""
    with pytest.raises(ValueError, match=r"labels|cells"):
        redact(context([box(0, 0, 9, 9)], **options))


def test_the_package_of_the_documentation_works():
    """docs/functions.md: its module is what its pyproject.toml registers, and does what it says."""
    blocks = dict(re.findall(r"```(toml|python)\n(.*?)```", DOCS.read_text(), re.DOTALL))
    ((name, target),) = tomllib.loads(blocks["toml"])["project"]["entry-points"][GROUP].items()
    assert target == f"street_tools:{name}"
    module: dict[str, object] = {}
    exec(blocks["python"], module)
    pixels = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    pixels[:20, :20] = 3
    shapes = [box(0, 0, 20, 20, "dark"), box(30, 30, 60, 60, "bright"), box(-9, -9, -2, -2, "outside")]
    result = module[name](context(shapes, image=pixels))
    assert [one.id for one in result.shapes] == ["bright", "outside"]
    assert result.messages == ["1 dark shapes were left out."]

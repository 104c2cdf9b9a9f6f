"""What is said of items under free keys: a JSON merge patch of texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.errors import Invalid
from loop.domain.items.metadata import MOST_KEYS, checked_changes, merged

metas = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("xy"))
patches = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("xy") | st.none())


@given(metas, patches)
def test_a_patch_says_what_it_names_and_leaves_the_rest(meta, patch):
    """RFC 7396; and what was said is not touched. Twice is once."""
    before = dict(meta)
    after = merged(meta, patch)
    assert meta == before
    assert all(after.get(key) == patch.get(key, before.get(key)) for key in "abcdef")
    assert merged(after, patch) == after


def test_an_item_that_came_with_more_keys_than_it_may_get_can_lose_some():
    """It may not get more of them."""
    many = {f"k{number}": "" for number in range(MOST_KEYS + 5)}
    assert len(merged(many, {"k0": None})) == MOST_KEYS + 4
    with pytest.raises(Invalid):
        merged(many, {"another": ""})


def test_half_of_a_surrogate_pair_cannot_be_kept():
    with pytest.raises(Invalid):
        checked_changes({"k": "\ud800"})

"""The query language of items as text."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loop.domain.access import Permission
from loop.domain.errors import BadQuery, Invalid
from loop.domain.items.queries import (
    EVERYTHING,
    SORTS,
    Ago,
    And,
    Compare,
    Has,
    Not,
    OneOf,
    Op,
    Or,
    Place,
    Query,
    Sort,
    checked_name,
    checked_tag,
    forbidden,
    leaves,
    placed,
    prefix_end,
)
from loop.domain.items.query_text import DEEPEST, LONGEST, MOST_VALUES, parsed, printed
from tests.item_queries import NOW, queries, texts


@given(queries)
def test_what_is_printed_reads_as_the_same(query: Query) -> None:
    assert parsed(printed(query)) == query


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("", EVERYTHING),
        ("  \n ", EVERYTHING),
        ("source = cam-1", Compare("source", Op.EQUAL, "cam-1")),
        ("source=cam-1", Compare("source", Op.EQUAL, "cam-1")),
        ("source != 'a b'", Not(Compare("source", Op.EQUAL, "a b"))),
        ('source = "a \\" b\\\\"', Compare("source", Op.EQUAL, 'a " b\\')),
        ("width >= 640", Compare("width", Op.AT_LEAST, 640.0)),
        ("tag in (a, 'b c')", OneOf("tag", ("a", "b c"))),
        ("tag NOT IN (a)", Not(OneOf("tag", ("a",)))),
        ("has truth AND missing risk", And((Has("truth"), Not(Has("risk"))))),
        ("source contains cam", Compare("source", Op.CONTAINS, "cam")),
        ("source starts-with cam", Compare("source", Op.STARTS, "cam")),
        ("created_at > 7d ago", Compare("created_at", Op.MORE, Ago(604_800))),
        ("meta.k = 5", Compare("meta.k", Op.EQUAL, 5.0)),
        ("meta.k = '5'", Compare("meta.k", Op.EQUAL, "5")),
        ('meta."odd key" = x', Compare("meta.odd key", Op.EQUAL, "x")),
        ("truth = yes", Compare("truth", Op.EQUAL, True)),
        ("truth >= 2", Compare("truth", Op.AT_LEAST, 2.0)),
        (
            "risk > .5 or failed = yes and work = open",
            Or(
                (
                    Compare("risk", Op.MORE, 0.5),
                    And((Compare("failed", Op.EQUAL, True), Compare("work", Op.EQUAL, "open"))),
                )
            ),
        ),
        ("not (has tag or has lot)", Not(Or((Has("tag"), Has("lot"))))),
    ],
)
def test_texts_mean_what_they_say(text: str, query: Query) -> None:
    """`and` binds closer than `or`; keywords in either case; a number without quotes is one."""
    assert parsed(text) == query


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("sorce = a", 0, "Did you mean source?"),
        ("source = a and creatd_at > 1d ago", 15, "Did you mean created_at or captured_at?"),
        ("decision = acept", 11, "Did you mean accept?"),
        ("source", 6, "found the end, expected one of"),
        ("source = ", 9, "found the end, expected a word"),
        ("source = and", 9, "found and, expected a word"),
        ("risk ~ 3", 5, "found ~, expected one of"),
        ("risk = high", 7, "expected a number"),
        ("risk = nan", 7, "expected a number"),
        ("risk = 1e999", 7, "expected a number"),
        ("created_at > yesterday", 13, "7d ago"),
        ("created_at > 99999999d ago", 13, "7d ago"),
        ("created_at > 0001-01-01T00:00:00+23:00", 13, "expected a time"),
        ("failed = maybe", 9, "expected yes or no"),
        ("failed in (yes)", 7, "expected one of = != behind failed"),
        ("has golden", 4, "write golden = yes or no"),
        ("(source = a", 11, "expected and, or, or )"),
        ("source = a source = b", 11, "found source, expected and"),
        ("tag in a", 7, "expected ( and a list"),
        ("source = 'a", 9, "never closed"),
        ("source = a ^ b", 11, "means nothing here"),
        ("meta. = 3", 6, "a key directly behind meta."),
        ("source = a)", 10, "expected and, or, or the end"),
    ],
)
def test_an_error_says_where_and_what_was_expected(text: str, position: int, says: str) -> None:
    with pytest.raises(BadQuery, match=f"at {position + 1}: ") as caught:
        parsed(text)
    assert caught.value.ids["position"] == position
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "(" * (DEEPEST + 1) + "has risk" + ")" * (DEEPEST + 1),
        "not " * 900 + "has risk",
        "x" * (LONGEST + 1),
        f"tag in ({', '.join('a' for _ in range(MOST_VALUES + 1))})",
    ],
)
def test_hostile_sizes_are_refused(text: str) -> None:
    with pytest.raises(BadQuery):
        parsed(text)


@given(st.text(max_size=60) | st.lists(st.sampled_from(
    ["source", "(", ")", "and", "or", "not", "has", "=", "'", '"', "in", ",", "meta.", "5", "ago", "7d", "\\"]
)).map(" ".join))  # fmt: skip
@example('meta."\\')
@example("\x00")
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing else is raised, and what is read prints to the same."""
    try:
        query = parsed(text)
    except BadQuery as error:
        assert 0 <= error.ids["position"] <= max(len(text), LONGEST)
    else:
        assert parsed(printed(query)) == query


def test_a_query_is_refused_for_the_first_field_beyond_what_is_allowed() -> None:
    query = parsed("source = a and (risk > 0.5 or not golden = yes)")
    assert forbidden(query, lambda needed: needed is Permission.READ) == "risk"
    assert forbidden(query, lambda needed: needed is not Permission.OPERATE) == "golden"
    assert forbidden(query, lambda _: True) is None
    assert [leaf.field for leaf in leaves(query)] == ["source", "risk", "golden"]


@given(
    st.sampled_from(SORTS),
    st.booleans(),
    st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.datetimes(),
)
def test_a_place_is_written_and_read(field: str, descending: bool, key) -> None:
    sort = Sort(field, descending)
    assert Sort.named(str(sort)) == sort
    timed = field.endswith("_at")
    if key is not None:
        key = key.replace(tzinfo=NOW.tzinfo) if timed and not isinstance(key, float) else key
        if timed == isinstance(key, float):
            return
    place = Place(key, "0a" * 32)
    assert placed(str(place), sort) == place


@pytest.mark.parametrize("text", ["", "x", "~", "nan~aa", "1~", "2026~AA", "inf~aa", "1~zz", "5" * 5000])
def test_a_place_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="cannot start after"):
        placed(text, Sort("risk"))


@given(texts | st.text(max_size=4), st.text(max_size=4))
def test_what_starts_with_a_prefix_lies_below_its_end(prefix: str, more: str) -> None:
    """And nothing else does: the range of an index is exactly the prefix."""
    end = prefix_end(prefix)
    assert prefix <= prefix + more
    assert end is None or prefix + more < end
    if end is not None and prefix <= more < end:
        assert more.startswith(prefix)


def test_names_and_tags_are_plain() -> None:
    assert checked_tag("night shift") == "night shift"
    assert checked_name("To do 1") == "To do 1"
    for text in ("", " a", "a,b", 'a"', "a\nb", "x" * 101, "\x00"):
        with pytest.raises(Invalid):
            checked_tag(text)
    for text in ("", " a", "a/b", "..", "x" * 65):
        with pytest.raises(Invalid):
            checked_name(text)
    with pytest.raises(Invalid, match="sorted by"):
        Sort.named("source")

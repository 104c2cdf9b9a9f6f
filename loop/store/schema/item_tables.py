"""Items, what they are asked for by, and groups of them: the frames of a clip."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    text,
)

from loop.domain.item import Split
from loop.domain.items.clips import GroupKind
from loop.store.documents import OBJECT, STRINGS
from loop.store.schema.shared import item_key, metadata, newest_first, one_of, project_key
from loop.store.types import SEQUENCE, Choice, PlainText, UtcDateTime

LEFT_IMAGE = text("NOT removed")
LABELLED_ITEM = text("truth_version <> 0")
FAILED_ITEM = text("corrections <> 0")
RIGHT_ITEM = text("corrections = 0")
NUMBER_TERM = text("number IS NOT NULL")

items = Table(
    "items",
    metadata,
    project_key(),
    Column("digest", PlainText, nullable=False),
    Column("media_type", PlainText, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("source", PlainText, nullable=False),
    Column("group", PlainText, nullable=False),
    Column("split", Choice(Split)),
    Column("meta", OBJECT, nullable=False),
    PrimaryKeyConstraint("project_id", "digest"),
    CheckConstraint("width > 0 AND height > 0", name="sides_positive"),
    one_of("split", Split),
)
newest_first(items, "digest")

# What items are asked for by (loop/domain/items/queries.py), kept by loop/store/item_facts.py: a narrow row for each
# item, with what other tables say of it. source, group: their beginnings, since an index holds no long text. work: of
# its ordinary tasks. routed: what was decided of the newest prediction: `accept`, or its stage. corrections: of the
# newest answer that settled something.
item_facts = Table(
    "item_facts",
    metadata,
    Column("project_id", PlainText, nullable=False),
    Column("digest", PlainText, nullable=False),
    Column("media_type", PlainText, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("captured_at", UtcDateTime),
    Column("source", PlainText, nullable=False),
    Column("group", PlainText, nullable=False),
    Column("split", PlainText),
    Column("model_id", PlainText),
    Column("risk", Double),
    Column("routed", PlainText),
    Column("truth_version", Integer, nullable=False),
    Column("work", PlainText),
    Column("corrections", Integer),
    PrimaryKeyConstraint("project_id", "digest"),
    ForeignKeyConstraint(["project_id", "digest"], ["items.project_id", "items.digest"]),
    CheckConstraint("truth_version >= 0 AND corrections >= 0", name="counts"),
)
# By these a list is sorted, all of it ...
for _name in ("created_at", "captured_at", "risk", "width", "height"):
    Index(None, item_facts.c.project_id, item_facts.c[_name], item_facts.c.digest)
# ... and by these asked for, in the orders of time, with which most things go.
for _name in ("source", "group", "split", "model_id", "routed", "truth_version", "work", "corrections"):
    Index(None, item_facts.c.project_id, item_facts.c[_name], item_facts.c.created_at, item_facts.c.digest)
    Index(None, item_facts.c.project_id, item_facts.c[_name], item_facts.c.captured_at, item_facts.c.digest)
for _name, _where in (("labelled", LABELLED_ITEM), ("failed", FAILED_ITEM)):
    for _sort, _sorted in (("", "created_at"), ("_captured_at", "captured_at")):
        Index(
            f"ix_item_facts_{_name}{_sort}",
            item_facts.c.project_id,
            item_facts.c[_sorted],
            item_facts.c.digest,
            sqlite_where=_where,
            postgresql_where=_where,
        )
# What is routed goes by risk, so that the least risky of those that people get, and of those that failed or did not,
# are far from the least risky.
for _name in ("routed", "work"):
    Index(None, item_facts.c.project_id, item_facts.c[_name], item_facts.c.risk, item_facts.c.digest)
for _name, _where in (("failed", FAILED_ITEM), ("right", RIGHT_ITEM)):
    Index(
        f"ix_item_facts_{_name}_risk",
        item_facts.c.project_id,
        item_facts.c.risk,
        item_facts.c.digest,
        sqlite_where=_where,
        postgresql_where=_where,
    )

# When anything changed last that an item is asked for by, lots and golden items included: larger than all others of the
# project then, and visible in that order. Items without a row have not changed since there are revisions. Not a column
# of the facts: PostgreSQL writes a row anew with an entry in each index, of which they have thirty.
item_revisions = Table(
    "item_revisions",
    metadata,
    Column("project_id", PlainText, nullable=False),
    Column("digest", PlainText, nullable=False),
    Column("revision", BigInteger, nullable=False),
    PrimaryKeyConstraint("project_id", "digest"),
    ForeignKeyConstraint(["project_id", "digest"], ["item_facts.project_id", "item_facts.digest"]),
)
Index(None, item_revisions.c.project_id, item_revisions.c.revision)

# Items that are said something new of, for the facts to follow: rows go as soon as they are taken. changes: of
# loop/store/item_facts.py, added up.
changed_items = Table(
    "changed_items",
    metadata,
    Column("sequence", SEQUENCE, Identity(), primary_key=True, autoincrement=True),
    Column("project_id", PlainText, nullable=False),
    Column("item_digest", PlainText, nullable=False),
    Column("changes", Integer, nullable=False),
)

# What an item has any number of. field: `tag`, which is kept here alone; `detection` and `shape`, labels of its newest
# prediction and of its ground truth; `meta.KEY`. value: its beginning. created_at, captured_at: of the item, so that
# what has a term is read in their order.
item_terms = Table(
    "item_terms",
    metadata,
    Column("project_id", PlainText, nullable=False),
    Column("item_digest", PlainText, nullable=False),
    Column("field", PlainText, nullable=False),
    Column("value", PlainText, nullable=False),
    Column("number", Double),
    Column("created_at", UtcDateTime, nullable=False),
    Column("captured_at", UtcDateTime),
    PrimaryKeyConstraint("project_id", "item_digest", "field", "value"),
    item_key(),
)
for _name in ("created_at", "captured_at"):
    Index(
        None,
        item_terms.c.project_id,
        item_terms.c.field,
        item_terms.c.value,
        item_terms.c[_name],
        item_terms.c.item_digest,
    )
Index(
    "ix_item_terms_numbers",
    item_terms.c.project_id,
    item_terms.c.field,
    item_terms.c.number,
    item_terms.c.item_digest,
    sqlite_where=NUMBER_TERM,
    postgresql_where=NUMBER_TERM,
)

item_views = Table(
    "item_views",
    metadata,
    project_key(),
    Column("name", PlainText, nullable=False),
    Column("query", PlainText, nullable=False),
    Column("sort", PlainText, nullable=False),
    Column("actor", PlainText, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("project_id", "name"),
)

# Items in an order: the frames of a clip, the images of a camera.
item_groups = Table(
    "item_groups",
    metadata,
    Column("id", PlainText, primary_key=True),
    project_key(),
    Column("kind", Choice(GroupKind), nullable=False),
    Column("name", PlainText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("frames", Integer, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("read_to", Integer, nullable=False),
    Column("repeats", Integer, nullable=False),
    Column("notes", STRINGS, nullable=False),
    Column("meta", OBJECT, nullable=False),
    UniqueConstraint("project_id", "id"),
    CheckConstraint("frames >= 0 AND read_to >= -1 AND repeats >= 0", name="counts"),
    one_of("kind", GroupKind),
)
newest_first(item_groups)

group_frames = Table(
    "group_frames",
    metadata,
    Column("project_id", PlainText, nullable=False),
    Column("group_id", PlainText, nullable=False),
    Column("index", Integer, nullable=False),
    Column("item_digest", PlainText, nullable=False),
    Column("seconds", Double),
    Column("number", Integer),
    PrimaryKeyConstraint("group_id", "index"),
    UniqueConstraint("group_id", "item_digest"),
    item_key(),
    ForeignKeyConstraint(["project_id", "group_id"], ["item_groups.project_id", "item_groups.id"]),
    CheckConstraint('"index" >= 0', name="index_counts"),
)
Index(None, group_frames.c.project_id, group_frames.c.item_digest)

# Works that are of several frames; their tasks name the first as their item.
group_works = Table(
    "group_works",
    metadata,
    Column("work_id", PlainText, ForeignKey("tasks.id"), primary_key=True),
    Column("project_id", PlainText, nullable=False),
    Column("group_id", PlainText, nullable=False),
    Column("first", Integer, nullable=False),
    Column("count", Integer, nullable=False),
    UniqueConstraint("group_id", "first"),
    ForeignKeyConstraint(["project_id", "group_id"], ["item_groups.project_id", "item_groups.id"]),
    CheckConstraint("first >= 0 AND count >= 1", name="window_counts"),
)

# What an image looks like, in 64 bits (serving/image_hash.py). hash: as a signed number; NULL: it cannot be decoded.
image_hashes = Table(
    "image_hashes",
    metadata,
    Column("project_id", PlainText, nullable=False),
    Column("item_digest", PlainText, nullable=False),
    Column("hash", BigInteger),
    PrimaryKeyConstraint("project_id", "item_digest"),
    item_key(),
)

# Items whose image is not kept any more, since a function made another of it (a redaction). removed: its bytes are
# gone, or another project keeps them.
dropped_images = Table(
    "dropped_images",
    metadata,
    project_key(),
    Column("item_digest", PlainText, nullable=False),
    Column("dropped_by", PlainText, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("removed", Boolean, nullable=False),
    PrimaryKeyConstraint("project_id", "item_digest"),
    item_key(),
)
Index(
    "ix_dropped_images_left",
    dropped_images.c.item_digest,
    sqlite_where=LEFT_IMAGE,
    postgresql_where=LEFT_IMAGE,
)

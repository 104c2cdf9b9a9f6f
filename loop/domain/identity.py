"""Names for things: time-ordered ids for what happens, SHA-256 digests for what is."""

import hashlib
from datetime import datetime

DIGEST = r"[0-9a-f]{64}"  # a regular expression


def new_id(prefix: str, now: datetime, entropy: bytes) -> str:
    """An id that sorts by creation time: `{prefix}_{12 hex of milliseconds}{20 hex of entropy}`.

    `entropy` must hold at least 10 random bytes; time-ordered ids keep database pages and keyset
    pagination cheap (the idea of RFC 9562 UUIDv7).
    """
    if len(entropy) < 10:
        raise ValueError(f"an id needs 10 bytes of entropy, got {len(entropy)}")
    millis = int(now.timestamp() * 1000)
    return f"{prefix}_{millis:012x}{entropy[:10].hex()}"


def digest_of(content: bytes) -> str:
    """SHA-256 of `content`, 64 lower-case hex digits."""
    return hashlib.sha256(content).hexdigest()

"""What the index that finds what looks alike is doing."""

from enum import StrEnum


class IndexPhase(StrEnum):
    UNREAD = "unread"  # nobody has asked since this process started
    READING = "reading"  # from the store; who asks meanwhile is told to ask again
    REBUILDING = "rebuilding"  # its lists; searches go on
    READY = "ready"

"""Images as answers."""

from fastapi import Response

# An image never changes under its digest; a sandbox keeps a hostile one from running anything.
_HEADERS = {
    "Cache-Control": "private, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Content-Disposition": "inline",
}


def image_response(content: bytes, media_type: str) -> Response:
    """The bytes as they were sent, named by their digest in the path."""
    return Response(content, media_type=media_type, headers=_HEADERS)

"""Prints the API's OpenAPI document: `python -m serving.api.openapi > serving/web/openapi.json`."""

import json
import sys
from typing import cast

from loop.wiring import Services
from serving.api.app import create_app


def document() -> str:
    # The document depends on the routes only, so no service needs to be wired.
    app = create_app(cast(Services, None))
    return json.dumps(app.openapi(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())

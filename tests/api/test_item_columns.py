"""Lists of a large project over HTTP, which are answered from memory."""

import time

from loop.wiring import open_store
from tests.api.conftest import picture, running_in
from tests.api.test_items import ITEMS, listed


def test_lists_from_memory_know_what_was_just_done(tmp_path, sqlite_template):
    """A new image, a tag and a golden item are there in the next list, as where the database answers."""
    with running_in(tmp_path, sqlite_template, ASKANCE_SERVING__ITEM_COLUMNS_FROM="2") as service:
        columns = service.services.store.columns
        digests = [service.predict(picture(seed)).json()["item_digest"] for seed in range(3)]
        deadline = time.monotonic() + 30
        while columns.held("shapes") is None:
            assert listed(service) == digests[::-1]
            assert time.monotonic() < deadline
            time.sleep(0.01)
        digests.append(service.predict(picture(3)).json()["item_digest"])
        assert listed(service) == digests[::-1]
        tagged = service.call("POST", f"{ITEMS}/tags", json={"query": "work = open", "add": ["dim"]})
        assert tagged.json()["items"] == 4
        assert listed(service, "tag = dim", sort="created_at") == digests
        assert service.call("PUT", f"{ITEMS}/{digests[1]}/golden", json={"shapes": []}).status_code < 300
        assert listed(service, "golden = yes") == [digests[1]]
        assert columns.held("shapes") is not None


def test_a_process_that_serves_nothing_holds_no_columns(service):
    """The command line, and what works beside the requests, open the store alike."""
    opened = open_store(service.services.settings)
    assert (service.services.store.columns is None, opened.columns is None) == (False, True)
    opened.close()

"""Run inside Label Studio's environment: the users of the benchmark, each with a token; a project with open tasks.

python label_studio_users.py USERS TASKS    prints {"project": id, "tokens": [...]} as its last line
"""

import json
import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "core.settings.label_studio")

import django

django.setup()

from core.label_config import parse_config  # noqa: E402, F401 - loads what projects need
from organizations.models import Organization  # noqa: E402
from projects.models import Project  # noqa: E402
from rest_framework.authtoken.models import Token  # noqa: E402
from tasks.models import Prediction, Task  # noqa: E402
from users.models import User  # noqa: E402

CONFIG = (
    '<View><Image name="image" value="$image"/>'
    '<RectangleLabels name="label" toName="image"><Label value="car"/></RectangleLabels></View>'
)
BOX = {
    "from_name": "label", "to_name": "image", "type": "rectanglelabels",
    "value": {"x": 1, "y": 1, "width": 10, "height": 10, "rectanglelabels": ["car"]},
}  # fmt: skip


def main(users: int, tasks: int) -> None:
    people = [User.objects.create_user(email=f"r{n}@example.org", password="benchmark") for n in range(users)]
    organisation = Organization.create_organization(created_by=people[0], title="benchmark")
    for person in people:
        organisation.add_user(person)
        person.active_organization = organisation
        person.save()
    if hasattr(organisation, "jwt"):
        organisation.jwt.legacy_api_tokens_enabled = True
        organisation.jwt.save()
    project = Project.objects.create(
        title="queue",
        created_by=people[0],
        organization=organisation,
        label_config=CONFIG,
        sampling="Sequential sampling",
    )
    made = Task.objects.bulk_create(
        [Task(project=project, data={"image": f"https://example.org/{n}.jpg"}, inner_id=n) for n in range(tasks)],
        batch_size=1000,
    )
    Prediction.objects.bulk_create(
        [Prediction(task=task, project=project, result=[BOX], score=0.5) for task in made], batch_size=1000
    )
    tokens = [Token.objects.get_or_create(user=person)[0].key for person in people]
    print(json.dumps({"project": project.id, "tokens": tokens}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))

"""One database transaction as the use cases see it."""

from sqlalchemy import Connection

from loop.domain import ports
from loop.store.annotations import SqlAnnotations
from loop.store.appends import Appends
from loop.store.configuration import SqlConfiguration
from loop.store.cycles import SqlCycles
from loop.store.events import SqlEvents
from loop.store.idempotency import SqlIdempotencyKeys
from loop.store.items import SqlItems
from loop.store.maps import SqlMaps
from loop.store.models import SqlModels
from loop.store.predictions import SqlPredictions
from loop.store.projects import SqlProjects
from loop.store.promotions import SqlPromotions
from loop.store.rollouts import SqlRollouts
from loop.store.selections import SqlSelections
from loop.store.submissions import SqlSubmissions
from loop.store.tasks import SqlTasks
from loop.store.tokens import SqlTokens
from loop.store.truths import SqlTruths


class SqlTransaction:
    """Implements `loop.domain.ports.Transaction` on a connection whose transaction `SqlStore` begins and ends."""

    def __init__(self, connection: Connection) -> None:
        self._appends = Appends(connection)
        self.projects: ports.Projects = SqlProjects(connection)
        self.items: ports.Items = SqlItems(connection)
        self.predictions: ports.Predictions = SqlPredictions(connection, self._appends)
        self.keys: ports.IdempotencyKeys = SqlIdempotencyKeys(connection)
        self.tasks: ports.Tasks = SqlTasks(connection)
        self.submissions: ports.Submissions = SqlSubmissions(connection)
        self.truths: ports.Truths = SqlTruths(connection)
        self.models: ports.Models = SqlModels(connection)
        self.promotions: ports.Promotions = SqlPromotions(connection)
        self.rollouts: ports.Rollouts = SqlRollouts(connection)
        self.cycles: ports.Cycles = SqlCycles(connection)
        self.annotations: ports.Annotations = SqlAnnotations(connection)
        self.selections: ports.Selections = SqlSelections(connection)
        self.maps: ports.Maps = SqlMaps(connection)
        self.tokens: ports.Tokens = SqlTokens(connection)
        self.events: ports.Events = SqlEvents(connection, self._appends)
        self.configuration: ports.Configuration = SqlConfiguration(connection)

    def finish(self) -> None:
        """Write what is written last (loop/store/appends.py). The commit must follow at once."""
        self._appends.write()

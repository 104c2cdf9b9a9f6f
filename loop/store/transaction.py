"""One database transaction as the use cases see it."""

from sqlalchemy import Connection

from loop.domain import ports
from loop.store.agreements import SqlAgreements
from loop.store.annotations import SqlAnnotations
from loop.store.appends import Appends
from loop.store.comments import SqlComments
from loop.store.configuration import SqlConfiguration
from loop.store.cycles import SqlCycles
from loop.store.deliveries import SqlDeliveries
from loop.store.drafts import SqlDrafts
from loop.store.drift_reports import SqlDriftReports
from loop.store.efforts import SqlEfforts
from loop.store.embeddings import SqlEmbeddings
from loop.store.endpoints import SqlEndpoints
from loop.store.events import SqlEvents
from loop.store.function_calls import SqlFunctionCalls, Triggers
from loop.store.gates import SqlGates
from loop.store.golden import SqlGolden
from loop.store.groups import SqlGroups
from loop.store.held_answers import SqlHeldAnswers
from loop.store.idempotency import SqlIdempotencyKeys
from loop.store.image_hashes import SqlImageHashes
from loop.store.item_columns_kept import ColumnsOf
from loop.store.item_facts import ItemChanges
from loop.store.item_histories import SqlItemHistories
from loop.store.item_queries import SqlItemQueries
from loop.store.items import SqlItems
from loop.store.label_studio import SqlLabelStudioLinks
from loop.store.lots import SqlLots
from loop.store.maps import SqlMaps
from loop.store.models import SqlModels
from loop.store.notes import SqlNotes
from loop.store.objects import SqlObjects
from loop.store.outbox import Outbox
from loop.store.outcomes import SqlOutcomes
from loop.store.people import SqlPeople
from loop.store.predictions import SqlPredictions
from loop.store.production_figures import SqlProductionFigures
from loop.store.projects import KeptProjects, SqlProjects
from loop.store.promotions import SqlPromotions
from loop.store.reviews import SqlReviews
from loop.store.rollouts import SqlRollouts
from loop.store.sampled import SqlSampledPredictions
from loop.store.selections import SqlSelections
from loop.store.standings import SqlStandings
from loop.store.submissions import SqlSubmissions
from loop.store.task_lists import SqlTaskLists
from loop.store.tasks import SqlTasks
from loop.store.thresholds import SqlThresholds
from loop.store.tokens import SqlTokens
from loop.store.truths import SqlTruths
from loop.store.views import SqlViews


class SqlTransaction:
    """Implements `loop.domain.ports.Transaction` on a connection whose transaction `SqlStore` begins and ends."""

    def __init__(self, connection: Connection, kept_projects: KeptProjects, columns: ColumnsOf | None = None) -> None:
        self._projects = SqlProjects(connection, kept_projects)
        self._appends = Appends(connection)
        self._outbox = Outbox(connection)
        self._triggers = Triggers(connection, self._projects)
        self._changes = ItemChanges(connection)
        self.projects: ports.Projects = self._projects
        self.items: ports.Items = SqlItems(connection, self._triggers, self._changes)
        self.item_queries: ports.ItemQueries = SqlItemQueries(connection, self._changes, columns)
        self.item_histories: ports.ItemHistories = SqlItemHistories(connection)
        self.image_hashes: ports.ImageHashes = SqlImageHashes(connection)
        self.views: ports.Views = SqlViews(connection)
        self.predictions: ports.Predictions = SqlPredictions(connection, self._appends, self._changes)
        self.objects: ports.Objects = SqlObjects(connection, self._appends)
        self.embeddings: ports.Embeddings = SqlEmbeddings(connection)
        self.keys: ports.IdempotencyKeys = SqlIdempotencyKeys(connection)
        self.tasks: ports.Tasks = SqlTasks(connection, self._changes)
        self.task_lists: ports.TaskLists = SqlTaskLists(connection)
        self.submissions: ports.Submissions = SqlSubmissions(connection, self._changes)
        self.sampled: ports.SampledPredictions = SqlSampledPredictions(connection)
        self.outcomes: ports.Outcomes = SqlOutcomes(connection)
        self.production_figures: ports.ProductionFiguresKept = SqlProductionFigures(connection)
        self.thresholds: ports.ThresholdRecords = SqlThresholds(connection)
        self.efforts: ports.Efforts = SqlEfforts(connection, self._changes)
        self.comments: ports.Comments = SqlComments(connection)
        self.gates: ports.Gates = SqlGates(connection)
        self.drafts: ports.Drafts = SqlDrafts(connection)
        self.held_answers: ports.HeldAnswers = SqlHeldAnswers(connection)
        self.lots: ports.Lots = SqlLots(connection, self._changes)
        self.people: ports.People = SqlPeople(connection)
        self.golden: ports.Golden = SqlGolden(connection, self._changes)
        self.standings: ports.Standings = SqlStandings(connection)
        self.agreements: ports.Agreements = SqlAgreements(connection)
        self.truths: ports.Truths = SqlTruths(connection, self._changes)
        self.models: ports.Models = SqlModels(connection)
        self.promotions: ports.Promotions = SqlPromotions(connection)
        self.rollouts: ports.Rollouts = SqlRollouts(connection)
        self.cycles: ports.Cycles = SqlCycles(connection)
        self.notes: ports.Notes = SqlNotes(connection, self._appends)
        self.annotations: ports.Annotations = SqlAnnotations(connection)
        self.selections: ports.Selections = SqlSelections(connection)
        self.drift_reports: ports.DriftReports = SqlDriftReports(connection)
        self.maps: ports.Maps = SqlMaps(connection)
        self.groups: ports.Groups = SqlGroups(connection, self._changes)
        self.tokens: ports.Tokens = SqlTokens(connection)
        self.events: ports.Events = SqlEvents(connection, self._appends, self._outbox, self._triggers)
        self.reviews: ports.Reviews = SqlReviews(connection)
        self.endpoints: ports.Endpoints = SqlEndpoints(connection)
        self.deliveries: ports.Deliveries = SqlDeliveries(connection)
        self.function_calls: ports.FunctionCalls = SqlFunctionCalls(connection)
        self.label_studio: ports.LabelStudioLinks = SqlLabelStudioLinks(connection)
        self.configuration: ports.Configuration = SqlConfiguration(connection)

    def finish(self) -> None:
        """Write what is written last. The commit must follow at once: `appends` holds a lock that others wait for."""
        self._changes.write()
        self._outbox.write()
        self._triggers.write()
        self._appends.write()

    def committed(self) -> None:
        """Called after the commit, or the end of a transaction that only read."""
        self._projects.committed()

"""Which label is right where people differ, and who confuses which labels: Dawid and Skene (1979), with priors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy  # loads its parts when they are first used: what serves imports this module and needs none of them
from numpy.typing import NDArray

from loop.domain.errors import Invalid

Floats = NDArray[np.float64]

# What is assumed of a reviewer of whom nothing is known: nine labels in ten are right, any wrong one is as likely as
# another. It weighs as much as so many labels of each kind, so that a few answers never make anybody infallible.
PRIOR_RIGHT = 0.9
PRIOR_LABELS = 10.0

_SETTLED = 1e-5  # the largest change of a posterior at which the rounds end
_MOST_ROUNDS = 100


@dataclass(frozen=True, slots=True, eq=False)
class LabelFit:
    """K labels, R reviewers. confusion: (R, K, K), how likely each gives which label (last axis) to what truly is one
    (middle axis); rows sum to 1, all above 0. shares: (K,) of the labels among objects. rounds: it took."""

    labels: tuple[str, ...]
    reviewers: tuple[str, ...]
    confusion: Floats
    shares: Floats
    rounds: int

    def posterior(self, votes: NDArray[np.intp]) -> Floats:
        """(n, K) probabilities of each label, rows sum to 1. votes: (n, R) numbers of labels; -1: gave none."""
        return _normalised(self._likelihood(votes) + np.log(self.shares))

    def evidence(self, votes: NDArray[np.intp]) -> Floats:
        """The same if all labels were equally frequent: what people said alone. That a label is rare is no reason to
        doubt who gave it."""
        return _normalised(self._likelihood(votes))

    def chosen(self, votes: NDArray[np.intp]) -> tuple[list[str], list[float]]:
        """Of each row the likeliest of the labels that were given, and how sure it is: also by what people said alone,
        so that no dispute is settled by how frequent a label is. Rows have at least one vote each."""
        given = np.zeros((len(votes), len(self.labels)), dtype=bool)
        for column in votes.T:
            given[np.flatnonzero(column >= 0), column[column >= 0]] = True
        posterior, evidence = np.where(given, self.posterior(votes), 0.0), np.where(given, self.evidence(votes), 0.0)
        best = posterior.argmax(axis=1)
        rows = np.arange(len(votes))
        sure = np.minimum(posterior[rows, best] / posterior.sum(axis=1), evidence[rows, best] / evidence.sum(axis=1))
        return [self.labels[at] for at in best], sure.tolist()

    def _likelihood(self, votes: NDArray[np.intp]) -> Floats:
        """(n, K) logarithms."""
        return np.asarray(_marks(votes, len(self.labels)) @ _log_by_vote(self.confusion))


def numbered(said: Sequence[Mapping[str, str]], reviewers: Sequence[str], labels: Sequence[str]) -> NDArray[np.intp]:
    """(n, R) votes, as in `posterior`, from what each reviewer called n objects. Labels that are not there are none."""
    number = {label: at for at, label in enumerate(labels)}
    votes = [[number.get(one[name], -1) if name in one else -1 for name in reviewers] for one in said]
    return np.array(votes, dtype=np.intp).reshape(len(said), len(reviewers))


def fitted_labels(
    votes: NDArray[np.intp],
    *,
    labels: Sequence[str],
    reviewers: Sequence[str],
    known: Mapping[str, Floats] | None = None,
) -> LabelFit:
    """Confusion of each reviewer and the labels' shares, by expectation maximisation over a batch.

    votes: (n, R) as in `posterior`. known: by reviewer, (K, K) counts of golden shapes (true label, given label); they
    count like labels of this batch whose truth is known. Priors: Dirichlet, PRIOR_LABELS for each row of a confusion
    and 1 for each share. Starts from the shares of the votes. Raises Invalid for shapes that do not fit.
    """
    size = len(labels)
    if size == 0 or votes.shape[1:] != (len(reviewers),) or (votes.size and votes.max() >= size):
        raise Invalid(
            f"votes of shape {votes.shape} do not fit {size} labels and {len(reviewers)} reviewers.",
            hint="Give one column for each reviewer, with numbers of labels.",
        )
    golden = [(known or {}).get(name, np.zeros((size, size))) for name in reviewers]
    prior = _prior(size) + np.array(golden).reshape(-1, size, size)
    # Of thousands of objects few are told of in different ways: each way is looked at once, for all of its objects.
    ways, times = np.unique(votes, axis=0, return_counts=True) if votes.size else (votes, np.ones(len(votes)))
    marks = _marks(ways, size)
    by_vote = marks.T.tocsr()
    posterior = _vote_shares(ways, size)
    rounds = 0
    while True:
        rounds += 1
        weighed = posterior * times[:, None]
        given = (by_vote @ weighed).reshape(len(reviewers), size, size)  # by (reviewer, given label, true label)
        counts = prior + given.transpose(0, 2, 1)
        confusion = counts / counts.sum(axis=2, keepdims=True)
        shares = 1.0 + weighed.sum(axis=0)
        shares /= shares.sum()
        before, posterior = posterior, _normalised(marks @ _log_by_vote(confusion) + np.log(shares))
        settled = not len(votes) or float(np.abs(posterior - before).max()) < _SETTLED
        if settled or rounds == _MOST_ROUNDS:
            return LabelFit(tuple(labels), tuple(reviewers), confusion, shares, rounds)


def _marks(votes: NDArray[np.intp], size: int) -> Any:
    """(n, R K), sparse: 1 where a reviewer gave a label, in the order of reviewers, then labels."""
    rows, reviewers = np.nonzero(votes >= 0)
    columns = reviewers * size + votes[rows, reviewers]
    shape = (len(votes), votes.shape[1] * size)
    return scipy.sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)


def _log_by_vote(confusion: Floats) -> Floats:
    """(R K, K): the logarithm of how likely each vote is, by the true label."""
    reviewers, size, _ = confusion.shape
    return np.log(confusion).transpose(0, 2, 1).reshape(reviewers * size, size)


def _vote_shares(votes: NDArray[np.intp], size: int) -> Floats:
    """(n, K), rows sum to 1, with one vote for all labels together in each row."""
    counts = np.full((len(votes), size), 1.0 / size)
    for column in votes.T:
        voted = column >= 0
        counts[voted, column[voted]] += 1.0
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def _normalised(logs: Floats) -> Floats:
    likelihood = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(likelihood / likelihood.sum(axis=1, keepdims=True))


def _prior(size: int) -> Floats:
    """(K, K) pseudo counts."""
    if size == 1:
        return np.full((1, 1), PRIOR_LABELS)
    wrong = PRIOR_LABELS * (1.0 - PRIOR_RIGHT) / (size - 1)
    return np.full((size, size), wrong) + np.eye(size) * (PRIOR_LABELS * PRIOR_RIGHT - wrong)

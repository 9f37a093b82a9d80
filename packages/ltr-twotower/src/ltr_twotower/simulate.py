"""Worlds with planted truth, in which the paper's claims can be measured.

Every world is a table of documents with what the relevance tower may see (`visible`), the true relevance, a split into
queries that are logged and queries that are held out, and the true theta. Clicks follow the additive model. The logging
policy ranks by the true labels ("expert"), by their inverse or at random, and shuffles a whole list with probability
`temperature` (Section 5.1 of the paper).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from irworks.data import ClickLog, RankingDataset, read_letor
from irworks.errors import ArgumentError
from irworks.simulate import AdditiveTwoTower, EpsilonGreedy, log_position_bias, mix_scores, simulate_clicks
from ltr_twotower.model import TwoTowerClickModel

__all__ = [
    "Documents",
    "World",
    "deep_label_world",
    "letor_world",
    "linear_world",
    "omitted_features_world",
    "query_effect_world",
    "toy_world",
]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Documents:
    """The documents of some queries.

    Attributes:
        visible: float32 [n_docs, n_features], what the relevance tower sees.
        labels: float64 [n_docs], graded relevance, about 0 to 4; what the expert policy ranks by and nDCG rewards.
        offsets: int64 [n_queries + 1], the documents of query q are offsets[q]:offsets[q + 1].
    """

    visible: NDArray[np.float32]
    labels: FloatArray
    offsets: NDArray[np.int64]

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        return len(self.offsets) - 1


@dataclass(frozen=True, eq=False)
class World:
    """A population of queries and documents, and a user.

    Attributes:
        name: In kebab-case.
        about: How it is built, for the reader of a report.
        train: Documents of the queries that are logged.
        test: Documents of held-out queries.
        theta: float64 [k], true position bias, theta_1 = 0. The true relevance logit is label - 2.
    """

    name: str
    about: str
    train: Documents
    test: Documents
    theta: FloatArray

    def simulate(
        self, n_sessions: int, rng: np.random.Generator, *, temperature: float, strength: float = 1.0
    ) -> ClickLog:
        """Log clicks on the training queries.

        Args:
            n_sessions: Number of sessions; queries are drawn uniformly.
            rng: Source of randomness.
            temperature: Probability of showing a list in uniformly random order: 0 deterministic, 1 uniform.
            strength: 1 the expert ranker, 0 random scores, -1 the inverse of the expert, and mixtures.

        Returns:
            The log, with the visible features and the true placement propensities.
        """
        scores = mix_scores(self.train.labels, strength, rng, 0.0, 4.0)
        policy = EpsilonGreedy(scores, self.train.offsets, temperature, k=len(self.theta))
        user = AdditiveTwoTower(self.theta)
        return simulate_clicks(
            policy,
            user,
            self.train.labels - 2,
            n_sessions,
            rng,
            placement=policy.placement(),
            doc_features=self.train.visible,
        )

    def ndcg(self, model: TwoTowerClickModel, part: str = "test", measure: str = "nDCG@10") -> float:
        """Mean nDCG of a fitted model's ranking of the `test` (held-out) or `train` queries."""
        from irworks.metrics import evaluate

        docs = self.test if part == "test" else self.train
        scores = model.predict_relevance(docs.visible)
        return float(evaluate(scores, np.maximum(docs.labels, 0), docs.offsets, [measure])[measure].mean())

    def theta_error(self, model: TwoTowerClickModel) -> float:
        """Mean absolute error of theta over the ranks below the first (theta_1 = 0 by definition)."""
        return float(np.abs(model.position_bias_ - self.theta)[1:].mean())


def toy_world(rng: np.random.Generator, *, n_queries: int = 2, k: int = 5) -> World:
    """The paper's identifiability toy: few queries, relevance logits from a normal cut to [-2, 2]; no features."""
    from scipy.stats import truncnorm

    labels = 2 + truncnorm.rvs(-2, 2, size=n_queries * k, random_state=rng)
    docs = Documents(np.zeros((n_queries * k, 0), dtype=np.float32), labels, np.arange(0, n_queries * k + 1, k))
    about = f"{n_queries} queries of {k} documents; relevance logits from N(0, 1) cut to [-2, 2]; theta_k = -ln k."
    return World("toy", about, docs, docs, log_position_bias(k))


def linear_world(rng: np.random.Generator, *, n_queries: int = 600, k: int = 10, n_features: int = 20) -> World:
    """Well specified: independent Gaussian features, all visible, relevance exactly linear in them."""
    features = rng.normal(size=(_doubled(n_queries) * k, n_features))
    labels = _graded(features @ rng.normal(size=n_features))
    about = (
        f"{n_queries} queries x {k} documents, {n_features} independent Gaussian features; the label is linear in "
        "them, scaled so that its 5th and 95th percentiles are 0 and 4 (not clipped, which would make it nonlinear); "
        "logit = label - 2; theta_k = -ln k."
    )
    return _split("linear", about, features, labels, n_queries, k)


def omitted_features_world(
    rng: np.random.Generator, *, n_queries: int = 600, k: int = 10, n_features: int = 20, n_omitted: int = 8
) -> World:
    """Misspecified: as `linear_world`, but the tower does not see some of the features that the expert policy uses."""
    if not 0 < n_omitted < n_features:
        raise ArgumentError(f"n_omitted={n_omitted}; expected between 1 and {n_features - 1}")
    features = rng.normal(size=(_doubled(n_queries) * k, n_features))
    labels = _graded(features @ rng.normal(size=n_features))
    about = (
        f"As the linear world, but the relevance tower sees {n_features - n_omitted} of the {n_features} features "
        "while the policy ranks by the true label. With independent features this shrinks the learnt weights alike "
        "and biases theta, but hardly changes the order of documents: nDCG is not expected to move."
    )
    return _split("omitted-features", about, features[:, n_omitted:], labels, n_queries, k)


def deep_label_world(rng: np.random.Generator, *, n_queries: int = 600, k: int = 10, n_features: int = 20) -> World:
    """Misspecified: the label is a random network of the features, the tower is linear."""
    features = rng.normal(size=(_doubled(n_queries) * k, n_features))
    hidden = np.tanh(features @ rng.normal(size=(n_features, 16)))
    labels = _graded(hidden @ rng.normal(size=16))
    about = (
        f"{n_queries} queries x {k} documents, {n_features} independent Gaussian features; the label is a random "
        "network of one hidden layer with 16 tanh units and standard normal weights, scaled to 0-4; the relevance "
        "tower is linear."
    )
    return _split("deep-labels", about, features, labels, n_queries, k)


def query_effect_world(
    rng: np.random.Generator,
    *,
    n_queries: int = 600,
    k: int = 10,
    n_features: int = 20,
    rho: float = 0.7,
    between: float = -1.5,
) -> World:
    """Misspecified where it hurts: the slope between queries contradicts the slope within them (Simpson's paradox).

    x = z + rho u_q is visible; the label is w z + v u_q, v = `between` w. A linear tower on x cannot represent both,
    and which slope it learns depends on how the policy placed the documents. Built to be a bad case: disclose it.
    """
    n_docs = _doubled(n_queries) * k
    z = rng.normal(size=(n_docs, n_features))
    u = np.repeat(rng.normal(size=(_doubled(n_queries), n_features)), k, axis=0)
    w = rng.normal(size=n_features)
    labels = _graded(z @ w + between * (u @ w))
    about = (
        f"{n_queries} queries x {k} documents. The tower sees x = z + {rho} u, with a part z of the document and a "
        f"part u of the query ({n_features} independent Gaussian features each); the label is w z + v u with v = "
        f"{between} w, scaled to 0-4. The slope between queries contradicts the slope within: a constructed bad case, "
        "chosen because in ordinary Gaussian worlds the policy biases theta but not the ranking."
    )
    return _split("query-effect", about, z + rho * u, labels, n_queries, k)


def letor_world(
    folder: str | Path,
    rng: np.random.Generator | None = None,
    *,
    relevance: Literal["original", "linear", "deep"] = "original",
    k: int = 10,
    n_components: int | None = 20,
    n_visible: int | None = None,
) -> World:
    """Semi-synthetic: real documents, simulated clicks, and real or planted relevance (Section 5.1 of the paper).

    Args:
        folder: With `rank.train` and `rank.test` in SVMlight format (LightGBM's example, catalogued as `letor`), or
            `train.txt` and `test.txt` (a fold of MSLR-WEB30K or Istella).
        rng: Draws the weights of planted relevance.
        relevance: "original": the graded labels of the data. "linear" or "deep": planted on the real features, as in
            `linear_world` and `deep_label_world`.
        k: The k best-labelled documents of each query are its candidates, as in the paper's code.
        n_components: Features are log1p-transformed where they are not negative, and standardised; then reduced to this
            many principal components of the training queries. None: not reduced.
        n_visible: The tower sees only the first so many features (the paper omits features 100-135 of MSLR). None: all.

    Raises:
        DataError: The files are missing or malformed.
    """
    root = Path(folder)
    names = ("rank.train", "rank.test") if (root / "rank.train").exists() else ("train.txt", "test.txt")
    train = read_letor(root / names[0])
    test = read_letor(root / names[1], n_features=train.n_features)
    docs = [_top_labelled(train, k), _top_labelled(test, k)]
    project = _projection(docs[0].visible, n_components)
    features = [project(part.visible) for part in docs]
    labels = _planted(np.concatenate(features), relevance, rng or np.random.default_rng(0))
    if labels is not None:
        cut = len(features[0])
        docs = [replace(docs[0], labels=labels[:cut]), replace(docs[1], labels=labels[cut:])]
    docs = [replace(part, visible=X[:, :n_visible]) for part, X in zip(docs, features, strict=True)]
    seen = docs[0].visible.shape[1]
    about = (
        f"{docs[0].n_queries} training and {docs[1].n_queries} held-out queries with a relevant document, their {k} "
        f"best-labelled documents each; {relevance} relevance 0-4; the tower sees {seen} of {features[0].shape[1]} "
        f"{'features' if n_components is None else 'principal components of the features'}; simulated clicks with "
        "logit = label - 2 and theta_k = -ln k."
    )
    return World(f"letor-{relevance}", about, docs[0], docs[1], log_position_bias(k))


def _planted(
    features: NDArray[np.float32], relevance: Literal["original", "linear", "deep"], rng: np.random.Generator
) -> FloatArray | None:
    if relevance == "original":
        return None
    X = features.astype(np.float64)
    if relevance == "linear":
        return _graded(X @ rng.normal(size=X.shape[1]))
    hidden = np.tanh(X @ rng.normal(size=(X.shape[1], 16)))
    return np.clip(_graded(hidden @ rng.normal(size=16)), 0, 4)


def _doubled(n_queries: int) -> int:
    """Logged and held-out queries together: as many of each."""
    return 2 * n_queries


def _graded(values: FloatArray) -> FloatArray:
    """Scaled linearly so that the 5th and 95th percentiles are 0 and 4 (the paper clips there; see `linear_world`)."""
    low, high = np.percentile(values, [5, 95])
    return np.asarray((values - low) / (high - low) * 4)


def _split(name: str, about: str, visible: FloatArray, labels: FloatArray, n_queries: int, k: int) -> World:
    offsets = np.arange(0, n_queries * k + 1, k, dtype=np.int64)
    cut = n_queries * k
    train = Documents(visible[:cut].astype(np.float32), labels[:cut], offsets)
    test = Documents(visible[cut:].astype(np.float32), labels[cut:], offsets)
    return World(name, about, train, test, log_position_bias(k))


def _top_labelled(data: RankingDataset, k: int) -> Documents:
    """The k best-labelled documents of every query that has a relevant one; ties in file order."""
    query = np.repeat(np.arange(data.n_queries), np.diff(data.offsets))
    order = np.lexsort((-data.labels, query))
    place = np.arange(len(order)) - data.offsets[query[order]]
    has_relevant = np.maximum.reduceat(data.labels, data.offsets[:-1]) > 0
    rows = order[(place < k) & has_relevant[query[order]]]
    sizes = np.bincount(query[rows], minlength=data.n_queries)
    offsets = np.concatenate([[0], np.cumsum(sizes[sizes > 0])]).astype(np.int64)
    return Documents(data.features[rows], data.labels[rows].astype(np.float64), offsets)


def _projection(
    features: NDArray[np.float32], n_components: int | None
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Learn log1p, standardisation and principal components on the training features; return what applies them."""
    usable = features.min(axis=0) >= 0

    def transformed(X: NDArray[np.float32]) -> FloatArray:
        X = X.astype(np.float64)
        return np.where(usable, np.log1p(np.maximum(X, 0)), X)

    Z = transformed(features)
    mean, scale = Z.mean(axis=0), Z.std(axis=0)
    scale = np.where(scale > 0, scale, 1)
    basis = np.eye(Z.shape[1])
    if n_components is not None:
        basis = np.linalg.svd((Z - mean) / scale, full_matrices=False)[2][:n_components].T

    def project(X: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(((transformed(X) - mean) / scale) @ basis, dtype=np.float32)

    return project

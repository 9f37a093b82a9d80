"""What several claims need: the user's copy of the data, and simulated studies."""

from typing import TYPE_CHECKING

import numpy as np

from irworks.claims import Context, NotRun

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from recgaze import Behaviour, RecGazeDataset

__all__ = ["published", "swipe_gain"]


def published(ctx: Context) -> "RecGazeDataset":
    """The published data, from the folder that the user names.

    Raises:
        NotRun: No folder was named.
        DataError: It does not hold the data.
    """
    from recgaze import RecGazeDataset

    if "recgaze" not in ctx.options:
        raise NotRun(
            "the published data files are not here; their record asks to be downloaded by hand (Zenodo 15270518)",
            command="irworks reproduce recgaze --option recgaze=FOLDER",
        )
    return RecGazeDataset.load(ctx.options["recgaze"])


def swipe_gain(behaviour: "Behaviour", users: int, rng: np.random.Generator) -> tuple[float, float]:
    """What placing films by a swipe model brings on swiped pages, in expected clicks.

    Returns:
        Relative gain over films from left to right, and over films placed by the raw examination map.
    """
    from recgaze import simulate_study
    from recgaze.browse import tally
    from recgaze.recommend import SwipeModel, evaluate

    data = simulate_study(users, rng=rng, behaviour=behaviour, tasks=range(1, 31)).dataset.impressions()
    first, second = data.split_users(0.5, rng)
    visible = data.visible
    raw, truth = first.examined.mean(axis=0), second.examined.mean(axis=0)
    truth[:, :visible] = 0.0
    # Films fall in quality from left to right within a page and from page to page, as on screens sorted by votes.
    pages = data.columns // visible
    quality = np.outer(np.linspace(1.0, 0.8, pages), np.linspace(1.0, 0.6, visible)).ravel()
    scores = np.tile(quality, (data.rows, 1))
    in_order = np.tile(np.arange(data.columns), (data.rows, 1))
    modelled = SwipeModel.fit(tally(first)).examination(raw)
    orders = {"order": in_order, "raw": _by_page(scores, raw, visible), "swipe": _by_page(scores, modelled, visible)}
    clicks = {
        name: float(evaluate(np.take_along_axis(scores, order, axis=1), truth, "expected_clicks"))
        for name, order in orders.items()
    }
    return clicks["swipe"] / clicks["order"] - 1, clicks["swipe"] / clicks["raw"] - 1


def _by_page(scores: "NDArray[np.float64]", looks: "NDArray[np.float64]", visible: int) -> "NDArray[np.int64]":
    """Which film to put where, [R, C], each within its swipe page."""
    from recgaze.recommend import rerank

    pages = [slice(start, start + visible) for start in range(0, scores.shape[1], visible)]
    return np.concatenate([page.start + rerank(scores[:, page], looks[:, page]) for page in pages], axis=1)

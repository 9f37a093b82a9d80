"""The screens that users saw: which, how they ended, and when they appeared."""

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from recgaze import study

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Clock", "screens_begin", "seen_screens"]

FloatArray = NDArray[np.float64]
Clock = Literal["screen", "recording"]

# Seconds from when a screen appears to its first event, at most, on half of the screens.
LATEST_FIRST_EVENT = 5.0


def seen_screens(summary: "pd.DataFrame", final: "pd.DataFrame", user_ids: NDArray[np.str_]) -> "pd.DataFrame":
    """The screens that the summary or the final clicks speak of; see `RecGazeDataset.screens`.

    Args:
        summary: The events.
        final: The selections: `UserID, TaskID, row, column`.
        user_ids: [n_users], in whose order the screens are.

    Raises:
        ArgumentError: A screen that is none of the study's.
    """
    import pandas as pd

    both = pd.concat([summary[["UserID", "TaskID"]].astype({"UserID": str}), final[["UserID", "TaskID"]]])
    seen = both.drop_duplicates()
    seen = seen.assign(user=pd.Categorical(seen["UserID"], user_ids)).sort_values(["user", "TaskID"])
    frame = seen.merge(final, on=["UserID", "TaskID"], how="left")
    task = frame["TaskID"].to_numpy(dtype=np.int64)
    if len(task) and task.max() > max(study.TASKS):
        raise ArgumentError(f"TaskID {task.max()} is none of the study's; expected 1 to {max(study.TASKS)}")
    kind = np.array([study.task_kind(one) for one in task], dtype=object)
    clicked = frame["row"].notna().to_numpy()
    target = np.array([study.search_target(one) if one >= 36 else (0, 0) for one in task]).reshape(-1, 2)
    there = (frame["row"].fillna(0) == target[:, 0]) & (frame["column"].fillna(0) == target[:, 1])
    failed = (kind == "direct") & clicked & ~there.to_numpy()
    return pd.DataFrame(
        {
            "user": frame["UserID"].to_numpy(),
            "task": task,
            "kind": kind,
            "has_click": clicked,
            "failed_search": failed,
            "excluded": failed | ~clicked,
        }
    )


def screens_begin(summary: "pd.DataFrame") -> tuple[Clock, FloatArray]:
    """What timestamps count from, and the first one of each event's screen: float64 [n_events]."""
    import pandas as pd

    time = summary["Timestamp"].to_numpy(dtype=np.float64)
    user, _ = pd.factorize(summary["UserID"])
    screen, _ = pd.factorize(user * 64 + summary["TaskID"].to_numpy(dtype=np.int64))
    first = np.full(int(screen.max(initial=-1)) + 1, np.inf)
    np.minimum.at(first, screen, time)
    begins = not len(first) or float(np.median(first)) < LATEST_FIRST_EVENT
    return ("screen" if begins else "recording"), first[screen]

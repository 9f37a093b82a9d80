"""The RecGaze study: its screens, tasks, users and known gaps, as published.

Source: de Leon-Martinez et al., "RecGaze: The First Eye Tracking and User Interaction Dataset for Carousel Interfaces"
(SIGIR 2025), and the files published with it (MIT licence).
"""

from typing import Literal, get_args

__all__ = [
    "CAROUSELS",
    "FAILED_SEARCHES",
    "GENRES",
    "LOST_CLICKS",
    "POSITIONS",
    "SCREENS",
    "TASKS",
    "TASK_KINDS",
    "USERS",
    "TaskKind",
    "search_target",
    "task_kind",
]

TaskKind = Literal["free", "semi_free", "direct"]
TASK_KINDS: tuple[TaskKind, ...] = get_args(TaskKind)

GENRES = ("Action", "Animation", "Comedy", "Crime", "Drama", "Fantasy", "Horror", "Romance", "Sci-Fi", "Thriller")
CAROUSELS = 10
POSITIONS = 15
TASKS = range(1, 41)
USERS = (*(f"KInIT_{number}" for number in range(1, 62)), *(f"UvA_{number}" for number in range(1, 27)))

# Screens on which a user did not find the film of a direct search.
FAILED_SEARCHES = (
    ("KInIT_18", 38),
    ("KInIT_21", 38),
    ("KInIT_28", 36),
    ("KInIT_28", 37),
    ("KInIT_28", 39),
    ("KInIT_46", 36),
    ("KInIT_61", 38),
)
# Screens whose final click is missing from the data.
LOST_CLICKS = (("KInIT_21", 18), ("KInIT_51", 3), ("UvA_4", 20))

_TARGETS = {36: (5, 1), 37: (10, 14), 38: (2, 2), 39: (1, 13), 40: (9, 5)}

_LETTERS = dict(zip("anocdfhrst", GENRES, strict=True))
# The genres from top to bottom of screens 1 to 40, a letter each.
_ORDERS = """
    cnrdshfaot cfdhstraon dotsfarhnc ndtofcshra tdofhncsar tshcadfonr dsrhofntac farohctnsd hcafdntrso sthdofacrn
    sndahocrtf rothdsacfn ofdnrashtc rchdstonfa ronfcdasth haortnfcds tcnsodhafr fnotcshdra nsfrthcoad sdcarhofnt
    fhcnatdros castdrnfho nrascfdtho dfatronsch ohcrnastdf arfntcdohs ahscnorfdt otsanrhdcf arnofstdch htfcaronsd
    htafdrsnoc docrtnfhas nsrhacdfto dscohartnf fantrcodhs stohfrnacd franstchod cdonfsraht cfrhotdsna dstacohrfn
"""
SCREENS: tuple[tuple[str, ...], ...] = tuple(tuple(_LETTERS[one] for one in order) for order in _ORDERS.split())


def task_kind(task: int) -> TaskKind:
    """Kind of a screen: 1-30 free browsing, 31-35 semi-free browsing, 36-40 direct search.

    Raises:
        KeyError: There is no such screen.
    """
    if task not in TASKS:
        raise KeyError(task)
    return "free" if task <= 30 else "semi_free" if task <= 35 else "direct"


def search_target(task: int) -> tuple[int, int]:
    """Carousel and position, from 1, of the film that users were asked to find on screens 36 to 40.

    Raises:
        KeyError: The screen is no direct search.
    """
    return _TARGETS[task]

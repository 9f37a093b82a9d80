import numpy as np
import pytest

from irworks.errors import ArgumentError
from recgaze.models import f_shaped_examination, pbm_world
from recgaze.study import SCREENS


def test_the_screens_are_those_of_the_study():
    screens, _ = pbm_world(np.random.default_rng(0), n_users=3, n_screens=30)
    assert len(screens) == 90
    for task, genre in zip(screens.task, screens.genre, strict=True):
        assert tuple(np.asarray(screens.genres)[genre]) == SCREENS[task - 1]
    # Over the free screens every genre stands in every row three times.
    first = screens.genre[:30]
    assert all((np.bincount(first[:, row], minlength=10) == 3).all() for row in range(10))


def test_every_film_stands_at_one_cell():
    screens, _ = pbm_world(np.random.default_rng(0), n_users=2, n_screens=40)
    cell = np.broadcast_to(np.arange(150).reshape(10, 15), screens.movie.shape)
    assert len(np.unique(screens.movie)) == 6000
    assert len(np.unique(screens.movie * 150 + cell)) == 6000


def test_gaze_follows_the_planted_examination():
    screens, truth = pbm_world(np.random.default_rng(0), n_users=200, n_screens=30)
    assert screens.examined.mean(axis=0) == pytest.approx(truth.examination, abs=0.03)
    assert not (screens.clicked & ~screens.examined).any()
    assert ((screens.dwell > 0) == screens.examined).all()
    last = np.where(screens.examined.any(2), 14 - np.argmax(screens.examined[:, :, ::-1], axis=2), 0)
    assert (screens.pages == last // 5 + 1).all()


def test_examination_is_f_shaped():
    theta = f_shaped_examination()
    assert (np.diff(theta, axis=0) < 0).all()
    assert (np.diff(theta, axis=1) < 0).all()
    # A swipe costs more than a step.
    assert theta[0, 5] / theta[0, 4] < theta[0, 4] / theta[0, 3]


def test_blocks_of_a_large_study_have_users_of_their_own():
    rng = np.random.default_rng(0)
    one, two = (pbm_world(rng, 5, 2, first_user=first)[0] for first in (0, 5))
    assert not set(one.users) & set(two.users)


def test_one_seed_is_one_world():
    one, two = (pbm_world(np.random.default_rng(7), 4, 5)[0] for _ in range(2))
    assert (one.clicked == two.clicked).all()
    assert (one.examined == two.examined).all()


@pytest.mark.parametrize(
    "options",
    [
        {"n_users": 0},
        {"n_screens": 41},
        {"clicks_per_screen": 0},
        {"examination": np.ones((3, 3))},
        {"examination": 2 * np.ones((10, 15))},
    ],
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ArgumentError, match="expected"):
        pbm_world(np.random.default_rng(0), **options)

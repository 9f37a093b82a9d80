import re
import runpy
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from irworks.errors import ArgumentError, DataError
from rec_unlearn import DeletionRequest
from rec_unlearn.algorithms import ALGORITHMS, NotApplicableError, make_algorithm
from rec_unlearn.models.ease import EASE
from rec_unlearn.models.sequence import NextBasketGRU
from rec_unlearn.models.torch_base import TrainConfig
from rec_unlearn.service import RequestQueue, UnlearningService, read_status
from rec_unlearn.service.durable import LockedError
from rec_unlearn.service.plan import next_limit

HELP = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("service_help.py"))))
opened, life = HELP.opened, HELP.life


@pytest.fixture
def folder():
    """A folder in memory where there is one: half a minute of waiting for a disk proves nothing more."""
    memory = Path("/dev/shm")
    path = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    yield path
    shutil.rmtree(path)


def test_every_request_has_an_outcome_and_a_refusal_its_reason(folder):
    _, _, entries = life(folder / "service")
    assert [entry.state for entry in entries] == ["applied"] * 6 + ["refused"] * 4
    again, stranger, poison, last = (entry.reason for entry in entries[6:])
    assert again == last == "the account was removed before"
    assert "not known" in stranger
    assert poison == "undone 3 times, at last: the step has length inf"
    assert not [word for word in (again, stranger, poison) if "person" in word or "stranger" in word]


def test_a_thousand_removed_users_leave_no_id_in_record_journal_checkpoint_or_optimiser_state(folder):
    log = HELP.small_log(users=1_050, rows=2)
    model = HELP.Numbers.drawn(log)
    with UnlearningService(
        folder / "service", model=model, log=log, algorithm=HELP.Drift(), store=HELP.NumbersStore(), max_batch=400
    ) as service:
        ids = service.submit(DeletionRequest(user=f"person-{code:03d}") for code in range(1_000))
        assert b"person-123" in HELP.bytes_under(folder)
        steps = service.run()
        assert [len(step.ids("applied")) for step in steps] == [400, 400, 200]
        assert service.queue.entry(ids[-1]).state == "applied"
        assert service.log.active_users.tolist() == list(range(1_000, 1_050))
        left = HELP.bytes_under(folder)
        assert set(re.findall(rb"person-\d+", left)) == {b"person-%d" % code for code in range(1_000, 1_050)}
        assert service.record.was_removed("person-123")
        assert not service.record.was_removed("person-1049")


class Adam(HELP.Algorithm):
    """Trains on the rows that stay with an optimiser that remembers (by hand, as torch's takes seconds to import)."""

    name = "adam"
    access = HELP.Access(retained="all", state=True)

    def __init__(self):
        self.moments = []

    def apply(self, model, removal, rng):
        loss = model.losses(removal.after, removal.after.active_users[:10]).mean()
        gradients = torch.autograd.grad(loss, model.parameters())
        before = self.moments or [(torch.zeros_like(g), torch.zeros_like(g)) for g in gradients]
        self.moments = [
            (0.9 * mean + 0.1 * g, 0.99 * square + 0.01 * g**2)
            for g, (mean, square) in zip(gradients, before, strict=True)
        ]
        with torch.no_grad():
            for parameter, (mean, square) in zip(model.parameters(), self.moments, strict=True):
                parameter -= 1e-2 * mean / (square.sqrt() + 1e-8)
        return HELP.Step(0)


class RememberedAdam(Adam):
    def state(self):
        kept = enumerate(self.moments)
        return {f"{i}.{j}": moment.numpy() for i, both in kept for j, moment in enumerate(both)}

    def restore(self, state):
        n = len({name.split(".")[0] for name in state})
        self.moments = [tuple(torch.from_numpy(state[f"{i}.{j}"].copy()) for j in range(2)) for i in range(n)]


def network(log):
    return NextBasketGRU(4, train=TrainConfig(device="cpu")).start(log, seed=0)


def test_an_algorithm_that_keeps_an_optimiser_must_say_how_to_store_it(folder):
    log = HELP.small_log()
    with pytest.raises(NotApplicableError, match=r"adam keeps state .* state\(\) and restore"):
        UnlearningService(folder / "service", model=network(log), log=log, algorithm=Adam())


def test_a_network_and_its_optimiser_go_on_as_if_there_had_been_no_kill(folder):
    log = HELP.small_log()

    def live(place):
        with UnlearningService(
            place, model=network(log), log=log, algorithm=RememberedAdam(), max_batch=1, probe_users=5
        ) as service:
            if not service.queue.entries():
                service.submit(DeletionRequest(user=f"person-{code:03d}") for code in range(4))
            service.run()
            return [parameter.detach().numpy() for parameter in service.model.parameters()], service.algorithm.moments

    weights, moments = live(folder / "reference")
    for point in (40, 90, 130, 170, 200, 230):
        place = folder / f"killed-{point}"
        assert HELP.in_child(lambda place=place: live(place), HELP.KillAt(point)) == -9
        resumed, remembered = live(place)
        assert all(np.array_equal(one, other) for one, other in zip(weights, resumed, strict=True))
        for one, other in zip(moments, remembered, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


STATEFUL = {"calibrated": {"gap": 0.1}, "neg-grad-plus": {}, "scif": {"relative": 1.0}}
NETWORKS = sorted(set(ALGORITHMS) - {"exact", "warm-start", "none", "retrain"})


@pytest.mark.parametrize("name", NETWORKS)
def test_every_algorithm_goes_on_from_a_checkpoint_as_it_would_have_gone_on_in_memory(folder, name):
    log = HELP.small_log()
    weights = []
    for place, at_once in (("whole", 3), ("parts", 1)):
        steps = 0
        while steps < 3:
            algorithm = make_algorithm(name, **STATEFUL.get(name, {}))
            with UnlearningService(
                folder / place, model=network(log), log=log, algorithm=algorithm, max_batch=1, probe_users=2
            ) as service:
                if not steps:
                    service.submit(DeletionRequest(user=f"person-{code:03d}") for code in range(3))
                steps += len(service.run(max_steps=at_once))
                last = [parameter.detach().numpy().copy() for parameter in service.model.parameters()]
        weights.append(last)
    assert all(np.array_equal(one, other) for one, other in zip(*weights, strict=True))
    assert not all(np.array_equal(p.detach(), w) for p, w in zip(network(log).parameters(), last, strict=True))


def test_a_model_with_exact_removal_ends_as_if_fitted_on_what_is_left(folder):
    log = HELP.small_log()
    with UnlearningService(folder / "service", model=EASE(l2=5.0).fit(log), log=log) as service:
        service.submit([DeletionRequest(user="person-001"), DeletionRequest(items=[103])])
        (step,) = service.run()
        assert step.report.exact
        users = np.arange(5, 10, dtype=np.int32)
        wanted = EASE(l2=5.0).fit(service.log).scores(service.log, users)
        assert np.allclose(service.model.scores(service.log, users), wanted, atol=1e-12)
        assert service.record.was_removed("person-007", 103)
        assert not service.record.was_removed("person-007")
    with UnlearningService(folder / "service") as service:
        assert service.algorithm.name == "exact"
        assert np.allclose(service.model.scores(service.log, users), wanted, atol=1e-12)


def test_the_most_urgent_request_goes_first_and_one_that_was_undone_goes_alone(folder):
    now = datetime.now(UTC)
    with opened(folder / "service", poison="person-003", max_batch=2) as service:
        late, soon, never, bad = service.submit(
            [
                DeletionRequest(user="person-001", deadline=now + timedelta(days=2)),
                DeletionRequest(user="person-002", deadline=now + timedelta(days=1)),
                DeletionRequest(user="person-004"),
                DeletionRequest(user="person-003", deadline=now + timedelta(hours=1)),
            ]
        )
        first, second, third, *rest = service.run()
        assert [outcome.id for outcome in first.outcomes] == [bad, soon]
        assert first.ids("undone") == [bad, soon]
        assert (second.ids("undone"), third.ids("failed")) == ([bad], [bad])
        assert [step.ids("applied") for step in rest] == [[soon], [late, never]]


def test_more_requests_go_into_a_step_as_long_as_they_fit_into_the_budget():
    assert next_limit(4, seconds=0.1, budget_s=1.0) == 16
    assert next_limit(4, seconds=1.0, budget_s=1.5) == 6
    assert next_limit(4, seconds=30.0, budget_s=1.0) == 1
    assert next_limit(4, seconds=30.0, budget_s=None) is None


def test_drift_below_the_budget_is_advice_to_retrain_until_another_model_is_deployed(folder):
    with opened(folder / "service", length=1.0, drift_budget=0.95) as service:
        assert service.status().overlap == 1
        assert not service.status().advice
        service.submit(DeletionRequest(user=f"person-{code:03d}") for code in range(9))
        service.run()
        assert service.status().overlap < 0.95
        assert service.status().advice[0].startswith("retrain on the remaining log")
        service.deploy(HELP.Numbers.drawn(service.log, seed=2))
        assert service.status().overlap == 1
        assert not service.status().advice
        assert service.verify().ok
    with opened(folder / "service", length=1.0) as service:
        assert np.array_equal(service.model.weights, HELP.Numbers.drawn(service.log, seed=2).weights)


def test_a_request_that_breaks_the_algorithm_is_undone_and_the_others_are_served(folder, monkeypatch):
    plain = HELP.Drift.apply

    def broken(self, model, removal, rng):
        if 5 in removal.users:
            model.weights[:] = 7
            raise RuntimeError("person-005 cannot be handled")
        return plain(self, model, removal, rng)

    monkeypatch.setattr(HELP.Drift, "apply", broken)
    with opened(folder / "service", max_attempts=1, max_batch=1) as service:
        ids = service.submit(DeletionRequest(user=f"person-{code:03d}") for code in (4, 5, 6))
        service.run()
        states = [service.queue.entry(request_id).state for request_id in ids]
        assert states == ["applied", "refused", "applied"]
        assert service.queue.entry(ids[1]).reason == "undone 1 times, at last: RuntimeError in drift"
        assert "given up" in service.status().advice[0]
        assert b"person-005 cannot" not in HELP.bytes_under(folder)
        assert not (service.model.weights == 7).any()


def test_what_still_holds_data_is_said(folder):
    with opened(folder / "service") as service:
        service.submit(DeletionRequest(user="person-001"))
        said = " ".join(service.status().stored_copies)
        assert "1 waiting requests" in said
        assert "salt" not in said
        service.run()
        said = " ".join(service.status().stored_copies)
        assert "waiting" not in said
        assert "salt" in said
        assert "234 rows" in said
        assert "backups" in said


def test_a_second_process_is_told_that_the_folder_is_in_use_and_may_read_its_status(folder):
    with opened(folder / "service") as service:
        with pytest.raises(LockedError, match="in use"):
            opened(folder / "service")
        assert read_status(folder / "service").waiting == 0
        RequestQueue(folder / "service" / "queue").add(DeletionRequest(user="person-001"))
        assert len(service.run()) == 1


def test_a_service_goes_on_with_the_algorithm_that_it_was_made_with(folder):
    opened(folder / "service").close()
    with pytest.raises(ArgumentError, match="was made with drift"):
        opened(folder / "service", length=0.5)
    with pytest.raises(ArgumentError, match="seed=4"):
        opened(folder / "service", seed=4)
    with opened(folder / "service", max_batch=7) as service:
        assert service.config.max_batch == 7
    with pytest.raises(DataError, match="no service is here yet"):
        UnlearningService(folder / "other")


@pytest.mark.parametrize("name", ["model.npz", "log.npz", "arrays.npz", "about.json"])
def test_a_damaged_checkpoint_is_one_error_that_names_the_file(folder, name):
    opened(folder / "service").close()
    path = folder / "service" / "checkpoints" / "000000" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"{name}.*damaged"):
        opened(folder / "service")


def test_a_record_that_was_cut_or_changed_does_not_verify(folder):
    life(folder / "service")
    record = folder / "service" / "record.jsonl"
    lines = record.read_text().splitlines(keepends=True)
    with opened(folder / "service", poison="person-030") as service:
        record.write_text("".join(lines[:-1]))
        assert "does not end where the checkpoint says" in str(service.verify())
        record.write_text("".join(lines).replace('"rows":18', '"rows":17', 1))
        assert service.verify().broken_at == 2

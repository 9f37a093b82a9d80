"""Models that a user of the package might have, written with nothing but the protocol; loaded by path."""

import numpy as np
import torch

from rec_unlearn import Interactions
from rec_unlearn.protocols import OutputLayer, Outputs


class LossesOnly:
    """The smallest of all: the mean embedding of a user's items predicts each of them. Two methods and parameters."""

    def __init__(self, n_items: int, dim: int = 4, *, seed: int = 0, dtype: torch.dtype = torch.float64) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.items = torch.nn.Parameter(0.5 * torch.randn(n_items, dim, generator=generator).to(dtype))
        self.out = torch.nn.Parameter(0.5 * torch.randn(n_items, dim, generator=generator).to(dtype))
        self.bias = torch.nn.Parameter(torch.zeros(n_items, dtype=dtype))
        self.seed_ = seed

    def parameters(self):
        return [self.items, self.out, self.bias]

    def _bags(self, log: Interactions, users: np.ndarray) -> torch.Tensor:
        bags = torch.from_numpy(log.matrix(users).toarray()).to(self.items)
        return bags / bags.sum(1, keepdim=True).clamp(min=1)

    def _hidden(self, bags: torch.Tensor) -> torch.Tensor:
        return torch.tanh(bags @ self.items)

    def losses(self, log, users):
        bags = self._bags(log, users)
        return -(bags * (self._hidden(bags) @ self.out.T + self.bias).log_softmax(1)).sum(1)

    def scores(self, log, users):
        with torch.no_grad():
            return (self._hidden(self._bags(log, users)) @ self.out.T + self.bias).numpy()

    def fit(self, log, *, seed=0, steps=150):
        fresh = type(self)(len(self.items), self.items.shape[1], seed=seed, dtype=self.items.dtype)
        with torch.no_grad():
            for mine, new in zip(self.parameters(), fresh.parameters(), strict=True):
                mine.copy_(new)
        optimiser = torch.optim.Adam(self.parameters(), lr=0.03)
        for _ in range(steps):
            optimiser.zero_grad()
            self.losses(log, log.active_users).mean().backward()
            optimiser.step()
        optimiser.zero_grad()
        self.seed_ = seed
        return self


class WithEverything(LossesOnly):
    """The same with outputs and the output layer told apart."""

    def outputs(self, log, users):
        bags = self._bags(log, users)
        logits = self._hidden(bags) @ self.out.T + self.bias
        return Outputs(logits, lambda values: -(bags * values.log_softmax(1)).sum(1))

    def losses(self, log, users):
        values, losses = self.outputs(log, users)
        return losses(values)

    def output_layer(self, log, users):
        with torch.no_grad():
            bags = self._bags(log, users)
            hidden = self._hidden(bags)
            position, item = bags.nonzero(as_tuple=True)
            ones = torch.ones(len(users), dtype=self.items.dtype) * (bags.sum(1) > 0)
            logits = hidden @ self.out.T + self.bias
        where = torch.arange(len(users))
        return OutputLayer(self.out, self.bias, hidden, logits, ones, where, (position, item, bags[position, item]))


class Module(torch.nn.Module):
    """A torch module with dropout, a frozen parameter and no outputs."""

    def __init__(self, n_items: int, dim: int = 4) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.frozen = torch.nn.Parameter(torch.ones(dim), requires_grad=False)
        self.net = torch.nn.Sequential(torch.nn.Linear(n_items, dim), torch.nn.Dropout(0.5), torch.nn.Tanh())
        self.out = torch.nn.Linear(dim, n_items)

    def forward(self, bags):
        return self.out(self.net(bags) * self.frozen)

    def losses(self, log, users):
        bags = torch.from_numpy(log.matrix(users).toarray()).float()
        bags = bags / bags.sum(1, keepdim=True).clamp(min=1)
        return -(bags * self(bags).log_softmax(1)).sum(1)

    def scores(self, log, users):
        with torch.no_grad():
            return self(torch.from_numpy(log.matrix(users).toarray()).float()).numpy()


class Logistic:
    """Logistic matrix factorisation with fixed item factors, folded into one weight vector: convex.

    A user's score of an item is weight @ (item * mean of the user's items): the parameters are shared, the loss is the
    mean logistic loss over all items, ridge included, so that training has one optimum.
    """

    def __init__(self, n_items: int, dim: int = 6, *, ridge: float = 0.05) -> None:
        generator = torch.Generator().manual_seed(5)
        self.factors = torch.randn(n_items, dim, generator=generator).double()
        self.weight = torch.nn.Parameter(torch.zeros(dim + 1, dtype=torch.float64))
        self.ridge = ridge

    def parameters(self):
        return [self.weight]

    def _features(self, counts: torch.Tensor) -> torch.Tensor:
        mean = counts @ self.factors / counts.sum(1, keepdim=True).clamp(min=1)
        products = mean[:, None, :] * self.factors
        return torch.cat([products, torch.ones_like(products[..., :1])], -1)

    def losses(self, log, users):
        counts = torch.from_numpy(log.matrix(users).toarray())
        logits = self._features(counts) @ self.weight
        losses = torch.nn.functional.binary_cross_entropy_with_logits(logits, (counts > 0).double(), reduction="none")
        return (losses.mean(1) + self.ridge * self.weight.square().sum() / 2) * (counts.sum(1) > 0)

    def scores(self, log, users):
        with torch.no_grad():
            return (self._features(torch.from_numpy(log.matrix(users).toarray())) @ self.weight).numpy()

    def fit(self, log, *, seed=0):
        optimiser = torch.optim.LBFGS(
            self.parameters(), max_iter=500, tolerance_grad=1e-12, tolerance_change=1e-16, line_search_fn="strong_wolfe"
        )

        def closure():
            optimiser.zero_grad()
            loss = self.losses(log, log.active_users).mean()
            loss.backward()
            return loss

        optimiser.step(closure)
        optimiser.zero_grad()
        return self

"""A step of an optimiser of PyTorch, so that what it imports at its first one is not timed as training."""

import torch


def first_step() -> None:
    """Step without a backward pass: a process that has made one should not fork."""
    weight = torch.nn.Parameter(torch.zeros(1))
    weight.grad = torch.zeros(1)
    torch.optim.AdamW([weight]).step()

"""What models of clicks can complain about."""

from irworks.errors import IrworksError

__all__ = ["IdentifiabilityWarning", "NotFittedError"]


class IdentifiabilityWarning(UserWarning):
    """What was shown where cannot tell the parameters of the model apart; the message says which, and why."""


class NotFittedError(IrworksError):
    """A model was asked for something that it has only after `fit`."""

"""Which stage does the gain come from: the generator, the ranker, or the two together."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cltr_twostage.estimate import Estimate
from cltr_twostage.estimator import Estimator
from cltr_twostage.policy import TwoStagePolicy, require_same_pool
from irworks.errors import ArgumentError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Attribution", "attribute"]


@dataclass(frozen=True)
class Attribution:
    """The gain of a new pair over an old one, split by stage; all from one log, each with its interval.

    With U(generator, ranker): generator = U(new, old) - U(old, old), ranker = U(old, new) - U(old, old), interaction =
    U(new, new) - U(new, old) - U(old, new) + U(old, old); the three sum to the gain. The Shapley values give each stage
    half of the interaction, and sum to the gain as well.

    Attributes:
        old: Value of the old pair.
        new: Value of the new pair.
        gain: New minus old.
        generator: What the new generator alone would bring.
        ranker: What the new ranker alone would bring.
        interaction: What the two bring together beyond that; negative where they do the same work twice.
        shapley_generator: The generator's fair share of the gain.
        shapley_ranker: The ranker's fair share of the gain.
    """

    old: Estimate
    new: Estimate
    gain: Estimate
    generator: Estimate
    ranker: Estimate
    interaction: Estimate
    shapley_generator: Estimate
    shapley_ranker: Estimate

    def to_frame(self) -> "pd.DataFrame":
        """One row a part: value, stderr, low, high."""
        import pandas as pd

        rows = [
            {"part": name, "value": part.value, "stderr": part.stderr, "low": part.ci.low, "high": part.ci.high}
            for name, part in vars(self).items()
        ]
        return pd.DataFrame(rows)

    @property
    def text(self) -> str:
        """What the split says, in words."""
        gain = f"The new pair earns {self.gain} more than the old one ({_sign(self.gain)})."
        stages = {"the generator": self.generator, "the ranker": self.ranker, "their interaction": self.interaction}
        parts = "; ".join(f"{name} {part} ({_sign(part)})" for name, part in stages.items())
        return f"{gain} Alone, each stage: {parts}. {self._advice()}"

    def _advice(self) -> str:
        if _sign(self.gain) != "a gain":
            return "Do not ship the pair on this evidence."
        alone = {"generator": self.generator, "ranker": self.ranker}
        helps = [name for name, part in alone.items() if _sign(part) == "a gain"]
        hurts = [name for name, part in alone.items() if _sign(part) == "a loss"]
        if hurts:
            return f"Ship both or neither: the new {' and the new '.join(hurts)} alone would lose."
        if len(helps) == 1 and _sign(self.interaction) != "a gain":
            return f"The new {helps[0]} alone brings it."
        best = max(alone, key=lambda name: alone[name].value)
        if alone[best].value >= self.gain.value:
            return f"The new {best} alone earns as much: the two do the same work twice."
        return "Ship both."


def attribute(estimator: Estimator, old: TwoStagePolicy, new: TwoStagePolicy) -> Attribution:
    """Split the estimated gain of a new pair over an old one into generator, ranker and interaction.

    Args:
        estimator: Fitted to a log.
        old: The pair in use (it need not be the one that made the log).
        new: The pair to judge; with the same `n_candidates` and `k`, as only the stages differ.

    Raises:
        ArgumentError: Not pairs of stages, or pairs on different pools, or of different sizes.
        NotFittedError, SupportError: As `Estimator.value`; the crossed pairs need support too.
    """
    for name, pair in (("old", old), ("new", new)):
        if not isinstance(pair, TwoStagePolicy):
            raise ArgumentError(f"{name} is a {type(pair).__name__}; expected a TwoStagePolicy, which has two stages")
    require_same_pool(new.pool, old.pool, "old and new")
    if (new.n_candidates, new.k) != (old.n_candidates, old.k):
        raise ArgumentError(
            f"old has n_candidates={old.n_candidates}, k={old.k} and new n_candidates={new.n_candidates}, k={new.k}; "
            "expected equal sizes, so that the stages alone differ"
        )
    corners = [
        old,
        old.replace(candidate=new.candidate_scores),
        old.replace(ranker=new.ranker_scores),
        new,
    ]
    contrasts = {
        "old": (1, 0, 0, 0),
        "new": (0, 0, 0, 1),
        "gain": (-1, 0, 0, 1),
        "generator": (-1, 1, 0, 0),
        "ranker": (-1, 0, 1, 0),
        "interaction": (1, -1, -1, 1),
        "shapley_generator": (-0.5, 0.5, -0.5, 0.5),
        "shapley_ranker": (-0.5, -0.5, 0.5, 0.5),
    }
    return Attribution(**estimator.contrasts(corners, contrasts))


def _sign(estimate: Estimate) -> str:
    if estimate.ci.low > 0:
        return "a gain"
    return "a loss" if estimate.ci.high < 0 else "not told from zero"

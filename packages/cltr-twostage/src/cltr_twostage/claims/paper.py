"""The paper, and the set that its claims register in."""

from irworks.claims import ClaimSet, Paper

__all__ = ["CLAIMS"]

CLAIMS = ClaimSet(
    package="cltr-twostage",
    options={"ml-1m": "the folder of MovieLens-1M, for --scale full"},
    imports=("pandas", "scipy.special", "matplotlib.figure"),
    paper=Paper(
        title="Towards Two-Stage Counterfactual Learning to Rank",
        authors=("Shashank Gupta", "Yiming Liao", "Maarten de Rijke"),
        venue="ICTIR 2025",
        url="https://arxiv.org/abs/2506.20854",
        year=2025,
        note=(
            "A reimplementation from the published objective: the joint exposure estimator and alternating "
            "optimisation by policy gradients. The paper's hyper-parameters, its map from ratings to relevance and "
            "its tables were not available, so directions are compared, not numbers; its data, MovieLens-1M, may not "
            "be redistributed and enters at scale full from the user's own copy. Clicks are simulated with the "
            "position-based model, examination 1 / rank; values are DCG@k of true relevance unless said otherwise. "
            "The natural world was made to separate nothing. The shift world was built, after the natural world had "
            "shown only a small gain, so that what is best for the ranker depends on what the generator lets through: "
            "it is a constructed case, in which learning the stages apart must fail. A parameter leads from agreement "
            "to that case. Instances for proofs by enumeration are random (6 documents, 4 candidates, lists of 3)."
        ),
    ),
    about=(
        "Counterfactual evaluation and joint learning of a candidate generator and a ranker from clicks: seven "
        "estimators of what another pair would earn, the unbiased ones proved by enumeration, stage attribution, "
        "joint learners."
    ),
)

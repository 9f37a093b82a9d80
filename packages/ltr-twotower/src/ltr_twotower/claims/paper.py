"""The paper, and the set that its claims register in."""

from irworks.claims import ClaimSet, Paper

__all__ = ["CLAIMS"]

CLAIMS = ClaimSet(
    package="ltr-twotower",
    options={"mslr": "a fold of MSLR-WEB30K, for --scale full"},
    imports=("pandas", "scipy.stats", "matplotlib.figure"),
    paper=Paper(
        title="Unidentified and Confounded? Understanding Two-Tower Models for Unbiased Learning to Rank",
        authors=("Philipp Hager", "Onno Zoeter", "Maarten de Rijke"),
        venue="ICTIR 2025, pp. 347-357",
        url="https://arxiv.org/abs/2506.20501",
        year=2025,
        note=(
            "A reimplementation from the published objective, on other worlds than the paper's MSLR-WEB30K (which "
            "scale full uses): numbers are not comparable with its figures, directions are. All clicks are simulated "
            "with the additive model, theta_k = -ln k, logit = label - 2. The expert policy ranks by the true label; "
            "with probability T it shows the whole list in random order (T = 1 is a uniform policy). In worlds with "
            "independent Gaussian features, what a tower misses biases theta but hardly reorders documents. The "
            "query-effect world was built so that it does: visible features mix a part of the document with a part of "
            "the query, and the slope between queries contradicts the slope within them. It is a constructed bad case."
        ),
    ),
    about=(
        "Two-tower click models: can a click log identify one, has its logging policy bent it, and what corrects it. "
        "Exact solvers, standard errors for every pair of ranks, a plan for the swaps worth making."
    ),
)

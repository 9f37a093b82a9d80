"""The paper, and the set that its claims register in."""

from irworks.claims import ClaimSet, Paper

__all__ = ["CLAIMS"]

CLAIMS = ClaimSet(
    package="rec-unlearn",
    options={
        "instacart": "folder of Instacart's CSV files, in place of Ta-Feng",
        "category": "of Instacart, what is sensitive: alcohol, baby, meat, or the name of an aisle",
        "baskets": "JSON files of baskets, with commas between, in place of Ta-Feng",
        "users": "how many users are trained on",
    },
    imports=("pandas", "scipy.sparse", "torch._dynamo", "matplotlib.figure"),
    paper=Paper(
        title="Towards a Real-World Aligned Benchmark for Unlearning in Recommender Systems",
        authors=("Pierre Lubitzsch", "Olga Ovcharenko", "Hao Chen", "Maarten de Rijke", "Sebastian Schelter"),
        venue="arXiv preprint",
        url="https://arxiv.org/abs/2508.17076",
        year=2025,
        note=(
            "A reimplementation. Of this paper and of its follow-up (ERASE, arXiv 2603.08341) the abstracts and the "
            "public code could be read, not the tables: directions are compared, not numbers. Every measure stands "
            "beside three controls: the untouched model, one trained again from the same start, and others trained "
            "again from other seeds, which show what is noise. The influence step is taken with Gauss-Newton products "
            "and settings of our own, found on seed 1 of the spam scenario; the settings of the public code are "
            "available as variant='published'. Claims marked (Ours.) are not the paper's."
        ),
    ),
    about=(
        "Remove users and interactions from trained recommenders: exactly where the model allows it, by an influence "
        "step where not; an audit that says how sure one may be; a benchmark with the controls that make it mean "
        "something."
    ),
)

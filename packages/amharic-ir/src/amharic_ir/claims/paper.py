"""The paper, and the set that its claims register in."""

from irworks.claims import ClaimSet, Paper

__all__ = ["CLAIMS"]

CLAIMS = ClaimSet(
    package="amharic-ir",
    imports=("pandas", "pyarrow", "scipy.sparse"),
    options={
        "ntrex": "a copy of <https://github.com/MicrosoftTranslator/NTREX>, for the multilingual tokenizers",
        "models": "folder with copies of models of the hub, each under its name there; at scale full",
        "news": "copy of the paper's news, rasyosef/amharic-passage-retrieval-dataset; at scale full",
        "airtc": "copy of 2AIRTC, as it is on the hub or in TREC's form; at scale full",
        "colbert": "a ColBERT of PyLate on RoBERTa-Base-Amharic, folder or name on the hub; at scale full",
        "finetune": "yes: train encoders, at scale full; wants a graphics card",
        "remote-code": "yes: run the program that gte-multilingual-base has on the hub, at scale full",
    },
    paper=Paper(
        title="Optimized Text Embedding Models and Benchmarks for Amharic Passage Retrieval",
        authors=("Kidist Amde Mekonnen", "Yosef Worku Alemneh", "Maarten de Rijke"),
        venue="Findings of ACL 2025",
        url="https://arxiv.org/abs/2505.19356",
        year=2025,
        note=(
            "A reimplementation. The paper's encoders and news collection are on a model hub: claims about them are "
            "run at scale full, and until then show what was reported, numbers of the authors' notebooks alone "
            "being marked so. The other claims need neither: analysis, lexical retrieval and small encoders trained "
            "on the spot, on news (MasakhaNEWS, headlines ask for their articles) and questions (AmQA). Claims marked "
            "(Ours.) are not the paper's."
        ),
    ),
    about=(
        "Search over Amharic and other text in the Ge'ez script: an analyser that is measured, four ways to search, "
        "encoders trained from a model of the hub or from nothing, tokenizers compared, and a leaderboard with tests."
    ),
)

"""The paper, and the set that its claims register in."""

from irworks.claims import ClaimSet, Paper

__all__ = ["CLAIMS"]

CLAIMS = ClaimSet(
    package="amharic-ir",
    imports=("pandas", "pyarrow", "scipy.sparse"),
    options={"ntrex": "a copy of <https://github.com/MicrosoftTranslator/NTREX>, for the multilingual tokenizers"},
    paper=Paper(
        title="Optimized Text Embedding Models and Benchmarks for Amharic Passage Retrieval",
        authors=("Kidist Amde Mekonnen", "Yosef Worku Alemneh", "Maarten de Rijke"),
        venue="Findings of ACL 2025",
        url="https://arxiv.org/abs/2505.19356",
        year=2025,
        note=(
            "A reimplementation. The paper's encoders and news collection are on a model hub; what is measured here "
            "needs neither: analysis and lexical retrieval, on news (MasakhaNEWS, headlines ask for their articles) "
            "and questions (AmQA). Claims marked (Ours.) are not the paper's."
        ),
    ),
    about=(
        "Search over Amharic and other text in the Ge'ez script: an analyser that is measured, retrieval that pays no "
        "heed to spelling variants, transliterated queries, tokenizers compared."
    ),
)

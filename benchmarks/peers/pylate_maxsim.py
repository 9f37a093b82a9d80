"""PyLate's scores of late interaction on the benchmark's vectors. Runs inside PyLate's own environment.

Started by `benchmarks/amharic_ir.py`.
"""

from importlib import import_module

import numpy as np
from meter import Arrays, Measured, peak_mebibytes, repeat, serve


def scores(data: Arrays, *, repeats: int) -> tuple[Measured, Arrays]:
    """`pylate.scores.colbert_scores`, query after query, of documents that are padded before the clock starts."""
    import torch
    from pylate.scores import colbert_scores

    docs = _documents(data)
    padded = torch.nn.utils.rnn.pad_sequence(docs, batch_first=True)
    sizes = torch.tensor([len(doc) for doc in docs])
    mask = (torch.arange(padded.shape[1]) < sizes[:, None]).float()
    asked = torch.from_numpy(data["queries"])

    def score() -> np.ndarray:
        return np.array([colbert_scores(query[None], padded, documents_mask=mask)[0].numpy() for query in asked])

    before = peak_mebibytes()
    found, timing = repeat(score, repeats, warm=True)
    peaks = {"peak_before": before, "peak_mebibytes": peak_mebibytes()}
    return {**timing, **peaks, "versions": _versions()}, {"scores": found}


def rerank(data: Arrays, *, repeats: int) -> tuple[Measured, Arrays]:
    """`pylate.rank.rerank`, which pads, scores and sorts: of all documents for each query."""
    import torch
    from pylate.rank import rerank as ranked

    docs = _documents(data)
    asked = torch.from_numpy(data["queries"])
    ids = list(range(len(docs)))
    before = peak_mebibytes()
    found, timing = repeat(lambda: [ranked([ids], query[None], [docs])[0] for query in asked], repeats, warm=True)
    values = np.empty((len(asked), len(docs)), dtype=np.float32)
    for row, best in zip(values, found, strict=True):
        for one in best:
            row[one["id"]] = one["score"]
    peaks = {"peak_before": before, "peak_mebibytes": peak_mebibytes()}
    return {**timing, **peaks, "versions": _versions()}, {"scores": values}


def _documents(data: Arrays) -> list:
    import torch

    return list(torch.split(torch.from_numpy(data["docs"]), np.diff(data["offsets"]).tolist()))


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("pylate", "torch", "numpy")}


def prepare() -> None:
    """Import what is timed."""
    for name in ("torch", "pylate.scores", "pylate.rank"):
        import_module(name)


if __name__ == "__main__":
    serve({"scores": scores, "rerank": rerank}, prepare)

"""The claims of the paper, each measured on this machine; `irworks reproduce amharic-ir` runs them."""

# Each import registers its claims; the order is that of the report.
from amharic_ir.claims import analysis, robustness, tokenizers, dense, fused, hub, hub_trained  # isort: skip
from amharic_ir.claims.paper import CLAIMS

__all__ = ["CLAIMS", "analysis", "dense", "fused", "hub", "hub_trained", "robustness", "tokenizers"]

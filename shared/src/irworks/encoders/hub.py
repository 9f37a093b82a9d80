"""Whether the Hugging Face hub can be asked."""

import os
import socket
from urllib.parse import urlsplit

__all__ = ["reaches_hub"]


def reaches_hub() -> bool:
    """Whether the hub can be reached, or what `HF_ENDPOINT` names instead; if not, its library would try for a minute.

    Behind a proxy, and where the user wants no network (`HF_HUB_OFFLINE`), nothing is tried.
    """
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return False
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return True
    address = urlsplit(os.environ.get("HF_ENDPOINT") or "https://huggingface.co")
    try:
        port = address.port or (80 if address.scheme == "http" else 443)
        socket.create_connection((address.hostname or "", port), timeout=5).close()
    except OSError:
        return False
    return True

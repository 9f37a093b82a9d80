"""irworks: the shared core of a house of information-retrieval papers whose claims are programs."""

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    # Reading the installed metadata imports the email parser; `import irworks` should not pay for it.
    if name != "__version__":
        raise AttributeError(f"module 'irworks' has no attribute {name!r}")
    from importlib.metadata import version

    return version("irworks")

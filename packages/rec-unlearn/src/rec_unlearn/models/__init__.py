"""Recommenders, each in a file of its own; those of PyTorch are imported when they are asked for."""

"""Exact placement and list probabilities of two-stage Plackett-Luce policies, without enumerating candidate sets."""

"""The benchmark: algorithms, models, scenarios and seeds against their controls."""

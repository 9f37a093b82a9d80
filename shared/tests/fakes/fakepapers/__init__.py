"""A package of claims that behave well and badly, for the tests; found through the metadata folder beside it."""

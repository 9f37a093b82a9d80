"""ltr-twotower."""

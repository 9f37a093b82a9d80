"""Search over Amharic, and other text in the Ge'ez script."""

"""irworks core."""

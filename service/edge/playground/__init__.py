"""The page at /: its files, which are served as they are, and the routes that serve them."""

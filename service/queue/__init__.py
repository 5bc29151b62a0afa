"""Everything that speaks to Redis: keys, client side, worker side, the embedded server."""

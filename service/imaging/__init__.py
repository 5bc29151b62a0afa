"""Pictures in and out: decode, mask, crops around the hole, compose, encode. Pillow and numpy."""

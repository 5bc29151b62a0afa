"""All of Redis: jobs in, results out. One script a transition, at least once, results fenced by a token."""

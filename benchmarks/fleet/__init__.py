"""A fleet of workers in simulated time: the service's own scheduler, profile and costs; no queue server, no engine."""

"""The process that owns one device: claims jobs, runs the step loop, answers results."""

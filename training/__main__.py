"""`python -m training JOB --config recipes/NAME.yaml`: the offline jobs by name, on one process or many.

`accelerate launch -m training JOB ...` and `torchrun --nproc-per-node N -m training JOB ...` start many.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from training.errors import TrainingError
from training.jobs import JOBS

EXIT_NOT_FINITE = 1
EXIT_WRONG_USE = 2


def arguments() -> argparse.Namespace:
    """The command line."""
    width = max(map(len, JOBS))
    jobs = "\n".join(f"  {name:{width}}  {job.description}" for name, job in JOBS.items())
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="Train the models that the service serves.",
        epilog=f"jobs:\n{jobs}\n\nA run that was stopped goes on from its checkpoint: give the same command again.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("job", choices=JOBS, metavar="JOB", help=f"one of {', '.join(JOBS)}")
    parser.add_argument("--config", type=Path, required=True, help="a file of training/recipes/")
    return parser.parse_args()


def main() -> int:
    """Run one job; 2 for what the user can put right, 1 for a run that diverged."""
    given = arguments()
    try:
        JOBS[given.job].start(given.config)
    except (TrainingError, FileNotFoundError) as error:
        return _complain(error, EXIT_WRONG_USE)
    except FloatingPointError as error:
        return _complain(error, EXIT_NOT_FINITE)
    finally:
        _leave_process_group()
    return 0


def _complain(error: Exception, status: int) -> int:
    if os.environ.get("RANK", "0") == "0":
        print(f"training: {error}", file=sys.stderr)
    return status


def _leave_process_group() -> None:
    """Part from the other processes in good order, if there are any and PyTorch was loaded at all."""
    if "torch.distributed" in sys.modules:
        from torch import distributed

        if distributed.is_available() and distributed.is_initialized():
            distributed.destroy_process_group()


if __name__ == "__main__":
    sys.exit(main())

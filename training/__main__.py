"""`python -m training JOB --config recipes/NAME.yaml`: the offline jobs by name, on one process or many.

`accelerate launch -m training JOB ...` and `torchrun --nproc-per-node N -m training JOB ...` start many.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import timedelta
from pathlib import Path

from service.errors import ArtifactError
from training.errors import DataError, RecipeError, TrainingError
from training.jobs import JOBS
from training.recipe_file import read_stages
from training.stage_inputs import missing_inputs

GOOD_TO_KNOW = """A recipe's section `stages` may let a job run others before and after it.
A run that was stopped goes on from its checkpoint: give the same command again."""
PATIENCE = timedelta(days=2)
EXIT_NOT_FINITE = 1
EXIT_WRONG_USE = 2


def arguments() -> argparse.Namespace:
    """The command line."""
    width = max(map(len, JOBS))
    jobs = "\n".join(f"  {name:{width}}  {job.description}" for name, job in JOBS.items())
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="Train the models that the service serves.",
        epilog=f"jobs:\n{jobs}\n\n{GOOD_TO_KNOW}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("job", choices=JOBS, metavar="JOB", help=f"one of {', '.join(JOBS)}")
    parser.add_argument("--config", type=Path, required=True, help="a file of training/recipes/")
    return parser.parse_args()


def main() -> int:
    """Run one job, or the stages that the recipe makes of it; 2 for what the user can put right, 1 for a run that
    diverged.
    """
    given = arguments()
    try:
        run_stages(given.config, read_stages(given.config, given.job))
    except (TrainingError, FileNotFoundError, ArtifactError) as error:
        return _complain(error, EXIT_WRONG_USE)
    except FloatingPointError as error:
        return _complain(error, EXIT_NOT_FINITE)
    finally:
        _leave_process_group()
    return 0


def run_stages(config: Path, stages: list[str]) -> None:
    """Run the jobs one after the other; what an earlier call finished is found finished. Raises RecipeError, before
    anything starts, for a stage that is no job or whose section is wrong, DataError for an input that is not there.
    """
    if unknown := [name for name in stages if name not in JOBS]:
        raise RecipeError(f"{config}: no jobs: {', '.join(unknown)}; the jobs are {', '.join(JOBS)}")
    if len(stages) > 1:
        if missing := missing_inputs([(name, JOBS[name].recipe_of(config)) for name in stages]):
            raise DataError(f"{config}: not there, and made by no stage before: {'; '.join(missing)}")
        _join_others()
    for number, name in enumerate(stages, 1):
        if len(stages) > 1 and _is_first():
            print(f"stage {number} of {len(stages)}: {name}", flush=True)
        JOBS[name].start(config)
        if number < len(stages):
            _wait_for_others()


def _join_others() -> None:
    """Form the group of all processes, patiently: stages keep some of them waiting while others still encode."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        import torch
        from accelerate import PartialState

        PartialState(cpu=not torch.cuda.is_available(), timeout=PATIENCE)


def _wait_for_others() -> None:
    """Until every process has ended the stage: the next one reads what all of them wrote."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        from accelerate import PartialState

        PartialState().wait_for_everyone()


def _is_first() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _complain(error: Exception, status: int) -> int:
    rank = os.environ.get("RANK", "0")
    print(f"training{'' if rank == '0' else f' (process {rank})'}: {error}", file=sys.stderr)
    return status


def _leave_process_group() -> None:
    """Part from the other processes in good order, if there are any and PyTorch was loaded at all."""
    if "torch.distributed" in sys.modules:
        from torch import distributed

        if distributed.is_available() and distributed.is_initialized():
            distributed.destroy_process_group()


if __name__ == "__main__":
    sys.exit(main())

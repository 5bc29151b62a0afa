"""Exit statuses of the command line, and those by which a worker tells its supervisor how it ended."""

import signal

EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_SOME_FAILED = 3  # some photos of a folder could not be filled, and each was told of
EXIT_HUNG = 70  # EX_SOFTWARE of sysexits.h: a device call never came back; a fresh process may do better
EXIT_OUT_OF_MEMORY = 71  # EX_OSERR: the device's memory was short even for small batches; the same holds
EXIT_UNUSABLE = 78  # EX_CONFIG: another start would end the same way
EXIT_INTERRUPTED = 128 + signal.SIGINT

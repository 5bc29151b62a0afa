"""Exit statuses of the command line."""

import signal

EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_UNUSABLE = 78  # EX_CONFIG of sysexits.h: another start would end the same way
EXIT_INTERRUPTED = 128 + signal.SIGINT

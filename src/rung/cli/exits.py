"""The command's exit codes; 0 is good."""

from typing import Final

NO_RESULT: Final = 1
BAD_INPUT: Final = 2
INTERRUPTED: Final = 130

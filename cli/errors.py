"""What a command says instead of a stack trace: one sentence, and an exit code."""


class CommandError(Exception):
    """The command cannot do what was asked. The message says why and what would help. Exit code 2."""

    exit_code = 2


class RefusedError(CommandError):
    """The installation was reached, and refuses: the state of things does not allow it. Exit code 1."""

    exit_code = 1


class UnreachableError(CommandError):
    """The installation does not answer."""

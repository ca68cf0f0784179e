"""What a command says instead of a stack trace: one sentence, exit code 2."""


class CommandError(Exception):
    """The command cannot do what was asked. The message says why and what would help."""

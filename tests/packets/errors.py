"""How a script ends badly: what it expects does not happen, or it says what the language cannot map."""


class ScriptError(Exception):
    """`line` is the script's; `details` are further lines, as packetdrill prints the packets below its message."""

    def __init__(self, line: int, message: str, *details: str) -> None:
        super().__init__(message)
        self.line = line
        self.details = details

    def report(self, path: str) -> str:
        return "\n".join([f"{path}:{self.line}: {self}", *self.details])


class Refused(ScriptError):
    """A syntax error, or a name that has no counterpart here: the script was not run to its end, nothing was shown."""


class Failed(ScriptError):
    """The stack did something else than the script says."""

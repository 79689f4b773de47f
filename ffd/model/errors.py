"""The refusals, told by what the caller can do about them.

Each carries a code. Where FireFly has a code for the case it is FireFly's (`FF…`), since clients test for it; ours are
`FFD` and four digits. HTTP statuses and exit codes are given at the doors, not here.
"""


class FfdError(Exception):
    """A refusal with a reason: one sentence that says what is wrong with which value, and what to do.

    `code` is stable and for programs, `text` is for people; `str()` gives `"CODE: text"`.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"


class Invalid(FfdError):
    """The request is wrong in itself: change it."""


class NotFound(FfdError):
    """No such thing, or not yet."""


class Conflict(FfdError):
    """It exists already, in this or another form."""


class Full(FfdError):
    """A limit is reached: send less, or later."""


class Away(FfdError):
    """Something outside does not answer; it is tried again."""


class Broken(FfdError):
    """Our own rows contradict each other, or the disk failed: the node stops."""


def first_of(failure: BaseException) -> BaseException:
    """The first error in a group of errors, however deep it lies: nurseries put one group around another."""
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure

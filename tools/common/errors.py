"""The one error that means: the user can mend this."""


class UserError(ValueError):
    """Bad input, told in one sentence that names the file, the value and the command that helps."""

"""What can go wrong, as a tree. Each error's text is a sentence: the fact, the value found, the cure."""

from __future__ import annotations


class HarnessError(Exception):
    """Anything the harness has to say; the command line prints it and exits 1."""


class SuiteError(HarnessError):
    """A workload or a request for one is not as it should be: an unknown name, parameter or class."""


class StartError(HarnessError):
    """Counting cannot begin: a tool is missing or the fork server did not come up."""


class RepositoryError(HarnessError):
    """A git repository, a commit or something in one is not there."""


class OverlayError(HarnessError):
    """A commit's Python cannot be laid over a wheel's binaries."""


class CaseSkipped(HarnessError):
    """The workload's `setup` raised NotImplementedError; the text is its reason."""


class CountError(HarnessError):
    """The count of one case could not be taken; the text tells why and where the evidence lies."""

"""What a plan must keep to, and the error that names what cannot be kept."""

from __future__ import annotations

from ecsim.core.errors import UserError


class Infeasible(UserError):  # noqa: N818 (the word of the field)
    """No plan keeps to the constraints; the message says which, and what it would take."""


def impossible(what: str = "some layer can run nowhere") -> Infeasible:
    """Give the error for a problem that has no plan at any cost."""
    return Infeasible(f"no plan: {what}")

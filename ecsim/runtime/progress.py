"""What a run tells while it goes on. Every method has a default that says nothing."""

from __future__ import annotations


class Progress:
    """Told about trainings, arms and warnings; override what you want to show."""

    def training(self, what: str, seconds: float | None) -> None:
        """Tell that a training starts (`seconds` None) or has ended after wall `seconds`."""

    def arm(self, label: str, share: float) -> None:
        """Tell which share in [0, 1] of an arm's simulated time has passed."""

    def step(self, message: str) -> None:
        """Tell that one of several runs is there."""

    def note(self, message: str) -> None:
        """Tell something that the user should know, e.g. a cache entry that is rebuilt."""

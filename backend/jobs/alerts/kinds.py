"""The kinds of alert; apart from what finds them, so that the command line can name them without it."""

from __future__ import annotations

from typing import NamedTuple


class Kind(NamedTuple):
    """A kind of alert: its title, and a sample of what it says."""

    title: str
    sample: str


KINDS = {
    "job": Kind("Job failed or lost", "Job train 4f1c02 failed: The disk is full."),
    "gate": Kind("Gate refused a model", "Version 7 was not made champion. Precision: 0.81 instead of 0.86."),
    "behind": Kind("Index behind its catalogue", "The index of shop is 2 versions, 1,430 products behind."),
    "disk": Kind("Disk almost full", "The disk of the home folder has 812 MB free."),
    "schedule": Kind("Scheduled job missed", "Schedule of refresh: Missed 1 run: Sat 28 Nov 03:00."),
    "server": Kind("Server keeps dying", "Recommendation endpoint died 3 times in a row."),
}

"""What the run does not tell, and why. Pure."""

from collections.abc import Iterator

from boxoffice_loadtest.model import Inconclusive, LoadTestRun
from boxoffice_loadtest.report.blocks import Block, Bullets, Heading, shown
from boxoffice_loadtest.report.texts import Texts


def limits(run: LoadTestRun, t: Texts) -> Iterator[Block]:
    """Show the missing conclusions and what was not measured."""
    yield Heading(2, t("section.limits"))
    missing = [*run.analysis.inconclusive, *run.inconclusive]
    items = [f"{t(f'inconclusive.{one.subject}')}: {because(one, t)}" for one in missing]
    items += [t(f"unseen.{name}") for name in run.not_sampled]
    if run.target == "embedded":
        items.append(t("limits.shared"))
    yield Bullets(items or [t("limits.none")])


def because(one: Inconclusive, t: Texts) -> str:
    """Return the reason for a missing conclusion."""
    return t(f"because.{one.reason}", **shown(one.details))

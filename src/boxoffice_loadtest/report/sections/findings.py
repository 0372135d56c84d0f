"""The comparison of the client's log with the database. Pure."""

from collections import defaultdict
from collections.abc import Iterator

from boxoffice_loadtest.model import Finding, LoadTestRun
from boxoffice_loadtest.report.blocks import Block, Bullets, Heading, Paragraph, Table, number
from boxoffice_loadtest.report.texts import Texts

_SAMPLES_MAX = 10


def findings(run: LoadTestRun, t: Texts) -> Iterator[Block]:
    """Show the count of each kind of finding, and samples."""
    yield Heading(2, t("section.findings"))
    yield Paragraph(t("findings.text"))
    by_kind: dict[str, list[tuple[str, Finding]]] = defaultdict(list)
    for scenario in run.scenarios:
        for finding in scenario.findings:
            by_kind[finding.kind].append((scenario.name, finding))
    rows, tones, samples = [], [], []
    for kind, found in by_kind.items():
        name = t(f"finding.{kind}")
        rows.append([name, number(sum(one.count for _, one in found), 0)])
        tones.append("bad" if any(one.is_broken for _, one in found) else "")
        listed = [f"{scenario}: {sample}" for scenario, one in found for sample in one.samples]
        if listed:
            samples.append(f"{name}: {'; '.join(listed[:_SAMPLES_MAX])}")
    columns = [t("col.what"), t("col.count")]
    yield Table(columns, rows, frozenset({1}), outcome=1, tones=tones)
    if samples:
        yield Bullets(samples)

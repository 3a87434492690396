"""Card: what a run suffers from, in words, with its cause, its cure, the lines of the log that show it."""

from dataclasses import dataclass, field
from html import escape

from .judging import Finding
from .log import Log
from .picture import alt, svg

SIGNS = {"ill": "✗", "watch": "!"}
WORDS = {"ill": "ill: stop and change it", "watch": "worth a look"}


@dataclass(frozen=True)
class Card:
    """What ``examine`` found; shown in a notebook, or printed, as words.

    ``findings``: what is wrong, the most urgent first. ``looked``: what was well, by condition. ``log``: what was read.
    """

    log: Log = field(repr=False)
    findings: tuple[Finding, ...] = ()
    looked: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def names(self) -> list[str]:
        """The findings' names."""
        return [finding.name for finding in self.findings]

    @property
    def healthy(self) -> bool:
        return not self.findings

    @property
    def verdict(self) -> str:
        """One sentence."""
        steps = f"{self.log.last_step} steps, {len(self.log)} lines"
        if not self.healthy:
            return f"{self.log.source}: {'; '.join(finding.title for finding in self.findings)} ({steps})"
        if not self.looked:
            return f"{self.log.source}: nothing to judge yet ({steps})"
        return f"{self.log.source}: healthy, as far as {steps} tell"

    @property
    def notes(self) -> list[str]:
        """What the reader of the log had to assume or to leave out."""
        said = [f"counted {self.log.facts['every']}"] if "every" in self.log.facts else []
        if "perplexity" in self.looked.get("collapse", "") and "num_codewords" not in self.log.facts:
            said.append("codebook of 2 x 320 assumed: give num_codewords and groups")
        if self.log.skipped:
            said.append(f"{self.log.skipped} lines could not be read")
        return said

    @property
    def text(self) -> str:
        lines = [self.verdict]
        for finding in self.findings:
            lines += ["", f"{SIGNS[finding.severity]} {finding.name} ({WORDS[finding.severity]}): {finding.title}"]
            lines += [f"  cause  {finding.cause}", f"  cure   {finding.cure}"]
            lines += [f"  also   {', '.join(finding.also)}: likely of this"] if finding.also else []
            lines += [f"  log    {line}" for line in finding.lines]
        lines += ["", "looked at"] if self.looked else []
        lines += [f"  {name:<16} {said}" for name, said in self.looked.items()]
        lines += [f"  note             {note}" for note in self.notes]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text

    def alt(self) -> str:
        """The card's picture in words."""
        return alt(self.log, self.findings)

    def _repr_html_(self) -> str:
        import base64

        colour = {"ill": "#b2182b", "watch": "#b35806"}
        parts = [f"<p><b>{escape(self.verdict)}</b></p>"]
        if drawn := svg(self.log, self.findings):
            data = base64.b64encode(drawn.encode()).decode()
            parts.append(f'<img alt="{escape(self.alt())}" src="data:image/svg+xml;base64,{data}" style="width:100%">')
        for finding in self.findings:
            also = f"<br><b>Also</b> {escape(', '.join(finding.also))}: likely of this" if finding.also else ""
            parts.append(
                f'<div style="border-left:4px solid {colour[finding.severity]};padding-left:0.8em;margin:0.8em 0">'
                f"<b>{SIGNS[finding.severity]} {escape(finding.title)}</b> <small>({escape(finding.name)}, "
                f"{WORDS[finding.severity]})</small><br><b>Cause</b> {escape(finding.cause)}<br>"
                f"<b>Cure</b> <code>{escape(finding.cure)}</code>{also}"
                f"<pre style='margin:0.4em 0'>{escape(chr(10).join(finding.lines))}</pre></div>"
            )
        rows = [
            f"<tr><td>{escape(n)}</td><td style='text-align:left'>{escape(s)}</td></tr>" for n, s in self.looked.items()
        ]
        rows += [f"<tr><td>note</td><td style='text-align:left'>{escape(note)}</td></tr>" for note in self.notes]
        opened = " open" if self.healthy else ""
        parts.append(f"<details{opened}><summary>looked at</summary><table>{''.join(rows)}</table></details>")
        return f'<div style="max-width:760px">{"".join(parts)}</div>'

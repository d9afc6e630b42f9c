"""The page of a report: headings, tables, figures and code in one HTML file that needs nothing else."""

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

from matplotlib.figure import Figure

STYLE = """
:root { color-scheme: light; --ink: #1c1f24; --soft: #5b6470; --line: #dfe3e8; --mark: #0072b2; --pale: #f6f8fa; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 3rem 1.5rem 5rem; max-width: 62rem; color: var(--ink); background: #fff;
  font: 16px/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; letter-spacing: -.01em; }
h2 { font-size: 1.15rem; margin: 2.6rem 0 .7rem; padding-top: 1rem; border-top: 1px solid var(--line); }
p.lead { color: var(--soft); margin: 0 0 1.6rem; }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .8rem; }
.number { background: var(--pale); border-radius: .5rem; padding: .8rem 1rem; }
.number b { display: block; font-size: 1.45rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.number span { color: var(--soft); font-size: .84rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--soft); font-weight: 500; }
th, td { padding: .34rem .7rem .34rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
.scroll { overflow-x: auto; }
figure { margin: 1.2rem 0 1.8rem; } img { max-width: 100%; height: auto; display: block; }
figcaption { color: var(--soft); font-size: .88rem; margin-top: .4rem; }
pre { background: var(--pale); border-radius: .5rem; padding: .9rem 1.1rem; overflow-x: auto; font-size: .82rem;
  line-height: 1.45; }
.warning { border-left: 4px solid #d55e00; background: #fff6f0; padding: .6rem 1rem; margin: .5rem 0; }
footer { color: var(--soft); font-size: .82rem; margin-top: 3rem; border-top: 1px solid var(--line);
  padding-top: .8rem; }
@media print { body { padding: 0; max-width: none; } h2, figure, table { break-inside: avoid; } }
"""


@dataclass
class Page:
    """A report that grows from top to bottom."""

    title: str
    lead: str = ""
    footer: str = ""
    parts: list[str] = field(default_factory=list)

    def heading(self, text: str) -> None:
        """Begin a section."""
        self.parts.append(f"<h2>{html.escape(text)}</h2>")

    def paragraph(self, text: str) -> None:
        """A paragraph of plain text."""
        self.parts.append(f"<p>{html.escape(text)}</p>")

    def warning(self, text: str) -> None:
        """Something the reader must not miss."""
        self.parts.append(f'<div class="warning" role="note">{html.escape(text)}</div>')

    def numbers(self, shown: Sequence[tuple[str, str]]) -> None:
        """A few numbers, large, each as (number, what it is)."""
        cells = "".join(
            f'<div class="number"><b>{html.escape(number)}</b><span>{html.escape(what)}</span></div>'
            for number, what in shown
        )
        self.parts.append(f'<div class="numbers">{cells}</div>')

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table of texts; without columns, one of names and values."""
        head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
        top = f"<thead><tr>{head}</tr></thead>" if any(columns) else ""
        self.parts.append(f'<div class="scroll"><table>{top}<tbody>{body}</tbody></table></div>')

    def figure(self, drawn: Figure, caption: str) -> None:
        """A figure, inside the page."""
        buffer = io.BytesIO()
        drawn.savefig(buffer, format="png", dpi=160)
        data, text = base64.b64encode(buffer.getvalue()).decode(), html.escape(caption)
        self.parts.append(
            f'<figure><img alt="{text}" src="data:image/png;base64,{data}"><figcaption>{text}</figcaption></figure>'
        )

    def code(self, text: str) -> None:
        """Text as it is, commands or a file."""
        self.parts.append(f"<pre>{html.escape(text)}</pre>")

    def html(self) -> str:
        """The whole page.

        >>> "<h1>A &amp; B</h1>" in Page("A & B").html()
        True
        """
        title = html.escape(self.title)
        return (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>\n'
            f'<body><main><h1>{title}</h1><p class="lead">{html.escape(self.lead)}</p>\n'
            + "\n".join(self.parts)
            + f"\n</main><footer>{html.escape(self.footer)}</footer></body></html>\n"
        )

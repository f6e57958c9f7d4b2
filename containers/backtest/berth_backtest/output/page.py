"""A page of a report: it opens from disk and asks nothing of the network; without script it shows all."""

from html import escape
from pathlib import Path

HERE = Path(__file__).parent

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
<script>{script}</script>
</body>
</html>
"""


def page(title: str, parts: list[str], style: str = "", script: str = "") -> str:
    """Returns the page of the parts that are there; `style` and `script` are what it has of its own."""
    return PAGE.format(
        title=escape(title),
        style=asset("page.css") + style,
        body="\n".join(part for part in parts if part),
        script=asset("page.js") + script,
    )


def asset(name: str) -> str:
    """Returns a style sheet or a script that lies beside this file."""
    return (HERE / name).read_text(encoding="utf-8")


def section(title: str, content: str, note: str = "", name: str = "") -> str:
    """Returns a section with its heading, nothing without content; `name` is what a link jumps to."""
    hint = f'<p class="note">{escape(note)}</p>' if note else ""
    place = f' id="{name}"' if name else ""
    return f"<section{place}><h2>{escape(title)}</h2>{hint}{content}</section>" if content else ""


def warning_part(warnings: list[dict[str, str]]) -> str:
    if not warnings:
        return ""
    items = "".join(f"<li><b>{escape(w['code'])}</b> {escape(w['message'])}</li>" for w in warnings)
    return f'<section class="warnings"><h2>Before you trust this</h2><ul>{items}</ul></section>'

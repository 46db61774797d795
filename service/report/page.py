"""A document as one HTML page that can be sent alone: a small style of its own, pictures within it, no script."""

from base64 import b64encode

from jinja2 import Environment, StrictUndefined

from service.report.blocks import Document, Figure

MEDIA_TYPES = {"svg": "image/svg+xml", "png": "image/png"}

# Pictures keep their white ground in the dark: their lines are drawn for it. A wide table scrolls within itself, so that the
# page stays as wide as a telephone; on paper it is whole.
_STYLE = """
:root { color-scheme: light dark; --text: #1c2126; --ground: #ffffff; --quiet: #59636e; --rule: #d3d9df; --band: #f4f6f8 }
@media (prefers-color-scheme: dark) {
  :root { --text: #e4e8ec; --ground: #11151a; --quiet: #9aa5b1; --rule: #343c46; --band: #181d23 }
}
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 60rem; color: var(--text); background: var(--ground);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word }
h1 { font-size: 1.7rem; line-height: 1.2 } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--rule) } h3 { margin-top: 2rem }
p { max-width: 44rem; white-space: pre-line }
.table { overflow-x: auto; margin: 1rem 0 }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem }
caption, figcaption { text-align: left; color: var(--quiet); font-size: .9rem; padding: .3rem 0; max-width: 44rem }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem .3rem; border-bottom: 1px solid var(--rule) }
th { border-bottom-width: 2px } tbody tr:nth-child(even) { background: var(--band) }
figure { margin: 1.2rem 0 } figure img { display: block; max-width: 100%; height: auto; background: #ffffff; border-radius: 4px }
@media print { body { max-width: none; padding: 0; font-size: 10pt } .table { overflow: visible }
  h2, h3 { break-after: avoid } figure, tr { break-inside: avoid } }
"""
_TEMPLATE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{{ document.title }}</title>
<style>{{ style }}</style>
</head>
<body>
<h1>{{ document.title }}</h1>
{% for block in document.blocks %}{% set kind = block.__class__.__name__ %}
{% if kind == "Heading" %}
<h{{ block.level }}>{{ block.text }}</h{{ block.level }}>
{% elif kind == "Paragraph" %}
<p>{{ block.text }}</p>
{% elif kind == "Table" %}
<div class="table" tabindex="0"><table>
{% if block.caption %}<caption>{{ block.caption }}</caption>
{% endif %}
<thead><tr>{% for cell in block.header %}<th scope="col">{{ cell }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in block.rows %}
<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table></div>
{% else %}
<figure><img src="{{ uri(block) }}" alt="{{ block.alt }}">
{% if block.caption %}<figcaption>{{ block.caption }}</figcaption>
{% endif %}
</figure>
{% endif %}
{% endfor %}
</body>
</html>
"""


def page_of(document: Document) -> str:
    """The page. Every text is escaped; the browser is told to fetch nothing and to run nothing."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_TEMPLATE).render(document=document, style=_STYLE, uri=_data_uri)


def _data_uri(figure: Figure) -> str:
    return f"data:{MEDIA_TYPES[figure.kind]};base64,{b64encode(figure.content).decode('ascii')}"

"""Reports people read: a document of text, tables and pictures, written as one HTML page and as Markdown.

document.py   what to import: the blocks, and `write_report`
blocks.py     what a report is made of
page.py       the HTML page: one file, nothing from another host, no script
markdown.py   the same in Markdown, its pictures beside it
plots.py      the diagrams of a model's figures as SVG
canvas.py     axes, colours and line styles that every diagram shares

Needs matplotlib and jinja2, the extra `report`; nothing else in the service imports them.
"""

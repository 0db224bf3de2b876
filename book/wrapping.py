"""Formulas within a line keep the marks around them: no page begins a line with the full stop after a formula.

A browser may break a line on either side of drawn mathematics.  So a mark that follows or precedes a formula without a blank
becomes part of a span that doesn't wrap (`static/custom.css`).
"""

import re

from docutils import nodes


def keep_marks(app, doctree, docname: str) -> None:
    """Change the formulas of one page; `app` writes HTML, else they are left as they are."""
    if app.builder.format != "html":
        return
    for formula in list(doctree.findall(nodes.math)):
        parent, at = formula.parent, formula.parent.index(formula)
        before, after = parent[at - 1] if at else None, parent[at + 1] if at + 1 < len(parent) else None
        opening = re.search(r"[^\s\w]+$", before.astext()) if isinstance(before, nodes.Text) else None
        closing = re.match(r"[^\s\w]+", after.astext()) if isinstance(after, nodes.Text) else None
        if not (opening or closing):
            continue
        kept = nodes.inline("", "", classes=["kept"])
        parent[at] = kept  # by place, because a paragraph may hold the same words twice
        if opening:
            parent[at - 1] = nodes.Text(before.astext()[: opening.start()])
            kept += nodes.Text(opening[0])
        kept += formula
        if closing:
            parent[at + 1] = nodes.Text(after.astext()[closing.end() :])
            kept += nodes.Text(closing[0])


def setup(app):
    app.connect("doctree-resolved", keep_marks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""Links to the published lab lead to the copy beside the pages; one that is a paragraph of its own becomes a frame with the lab.

A chapter has a plain link, which serves in Colab, in JupyterLab and on GitHub, where no script of the page runs.  In the built book
the frame is loaded when it is scrolled to; without scripts and on paper the link is there in its place (`static/custom.css`).
"""

from html import escape

from docutils import nodes

PUBLISHED = "https://ign-book.github.io/ign-book/"
# beside index.html, by html_extra_path: what the address adds in a frame, so that a page shows what fits into it
PAGES = {"lab.html": "-view-plane", "projector.html": ""}


def link_to_copies(app, doctree, docname: str) -> None:
    """Change the links of one page; `app` writes HTML, else they are left as they are."""
    if app.builder.format != "html":
        return
    up = "../" * docname.count("/")
    for link in list(doctree.findall(nodes.reference)):
        page, _, settings = link.get("refuri", "").removeprefix(PUBLISHED).partition("#")
        if page not in PAGES or not link["refuri"].startswith(PUBLISHED):
            continue
        link["refuri"] = up + page + (f"#{settings}" if settings else "")
        link["internal"] = True
        if isinstance(link.parent, nodes.paragraph) and len(link.parent) == 1:
            src = escape(link["refuri"] + PAGES[page])
            title = escape(link.astext())
            frame = f'<iframe class="lab" src="{src}" title="{title}" loading="lazy"></iframe>'
            link.parent["classes"].append("lab-link")
            link.parent.parent.insert(link.parent.parent.index(link.parent), nodes.raw("", frame, format="html"))


def setup(app):
    app.connect("doctree-resolved", link_to_copies)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

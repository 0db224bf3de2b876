"""Plain notebooks of the chapters for Colab and GitHub, which know no directive: a Sphinx builder, run by `make colab`.

Numbers, references and citations are Sphinx's own, so they are those of the pages.  Markdown is parsed as in the pages (myst-parser) and
written by mdformat, with a method here for each thing that plain Markdown lacks.  Code cells keep every character, and outputs stay,
but for those of solutions, which nothing outside the pages can fold.
"""

import json
import posixpath
from pathlib import Path

import frames
from docutils import nodes
from docutils.parsers.rst.directives.misc import TestDirective
from markdown_it import MarkdownIt
from mdformat.renderer import DEFAULT_RENDERERS, MDRenderer, RenderTreeNode
from myst_parser.parsers.directives import parse_directive_text
from myst_parser.parsers.mdit import create_md_parser
from sphinx.addnodes import pending_xref
from sphinx.builders import Builder
from sphinx.errors import ExtensionError
from sphinx.util.docutils import ReferenceRole, new_document

BRANCH = "colab"  # which pages.yml publishes, and to which badges and rockets lead
HIDDEN = {"hide-cell", "hide-input", "remove-cell", "remove-input"}  # tags of cells whose code the page folds or leaves out
ADMONITIONS = "admonition attention caution danger error hint important margin note seealso sidebar tip warning"
PLAIN = "card container div grid grid-item grid-item-card tab-item tab-set"  # what is in them is shown, one after the other
README = "The chapters of [the book]({}) as plain notebooks, written by `make colab`. Changes belong there.\n\n{}"


def quoted(title: str, body: str) -> str:
    """A block of Markdown with a bold title."""
    return "\n".join(f"> {line}".rstrip() for line in f"**{title}.**\n\n{body}".rstrip().splitlines())


def folded(title: str, body: str) -> str:
    """The same, opened by a click.  The summary is HTML, and what stands between blank lines is Markdown again."""
    return f"<details>\n<summary>{MarkdownIt().renderInline(title)}</summary>\n\n{body}\n\n</details>"


class Chapter:
    """Writes the Markdown of one chapter, cell by cell; `mdformat` finds the methods in `RENDERERS`."""

    def __init__(self, builder: "Colab", docname: str):
        self.builder, self.env, self.docname = builder, builder.env, docname
        self.parser = create_md_parser(self.env.myst_config, MDRenderer)
        self.RENDERERS = {
            "fence": self.fence,
            "colon_fence": self.fence,
            "myst_role": self.role,
            "math_inline": lambda node, _: f"${one_line(node)}$",
            "math_inline_double": lambda node, _: f"$${one_line(node)}$$",
            "math_block": lambda node, _: f"$$ {rows(one_line(node))} $$",
            "math_block_label": lambda node, _: self.equation(one_line(node), node.info),
            "amsmath": lambda node, _: f"$$ {one_line(node)} $$",
            "link": self.link,
            "image": self.link,
            "table": self.table,
            "myst_target": lambda *_: "",
            "myst_line_comment": lambda *_: "",
            "myst_block_break": lambda *_: "",
        }
        self.POSTPROCESSORS = {"text": lambda text, *_: text.replace("$", "\\$")}
        self.options = {**self.parser.options, "parser_extension": [self], "mdformat": {"number": True}}
        self.solution = ""  # in which the text is; it may end some cells later

    def blocks(self, text: str):
        """Each block of a text as (node, Markdown); a block without text is left out."""
        env: dict = {}
        for node in RenderTreeNode(self.parser.parse(text, env)).children:
            try:
                markdown = MDRenderer().render_tree(node, self.options, env, finalize=False)
            except KeyError as error:
                if error.args[0] not in {part.type for part in node.walk()}:
                    raise
                raise ExtensionError(
                    f"{self.docname}: book/colab.py has no renderer for {error}; add one to Chapter."
                ) from None
            if markdown or node.type == "fence":
                yield node, markdown

    def markdown(self, text: str) -> str:
        return "\n\n".join(markdown for _, markdown in self.blocks(text))

    def cell(self, text: str) -> str:
        """A whole cell, with what belongs to a solution folded: `solution-start` and `solution-end` may stand in other cells."""
        shown: list[str] = []
        inside: list[str] = []
        for node, markdown in self.blocks(text):
            if node.info.startswith("{solution-start}"):
                self.solution = f"Solution to Exercise {self.number(node.info.partition('}')[2].strip())}"
            elif node.info.startswith("{solution-end}"):
                shown += [folded(self.solution, "\n\n".join(inside))] if inside else []
                self.solution, inside = "", []
            else:
                (inside if self.solution else shown).append(markdown)
        if inside:
            shown.append(folded(self.solution, "\n\n".join(inside)))
        elif self.solution and text.strip():
            shown.append(f"*{self.solution}: the cell below.*")
        return "\n\n".join(shown)

    def number(self, label: str) -> str:
        """Of a theorem, an exercise, an equation, as the pages have it."""
        for figures in self.env.toc_fignumbers.values():
            for numbers in figures.values():
                if label in numbers:
                    return ".".join(map(str, numbers[label]))
        raise ExtensionError(f"{self.docname}: nothing with a number has the label {label!r}.")

    def equation(self, latex: str, label: str) -> str:
        return f"$$ {rows(latex)} \\tag{{{self.number(nodes.make_id(f'equation-{label}'))}}} $$"

    def fence(self, node, context) -> str:
        if not node.info.startswith("{"):
            return DEFAULT_RENDERERS["fence"](node, context)
        name, _, title = node.info[1:].partition("}")
        if name in ("solution-start", "solution-end"):  # `cell` sees to these
            return ""
        # the one class of docutils that takes all options; the pages have checked them
        parsed = parse_directive_text(TestDirective, title.strip(), node.content)
        title, options, body = title.strip(), parsed.options, "\n".join(parsed.body)
        kind = name.rpartition(":")[2].capitalize()
        if name == "solution":
            return folded(f"Solution to Exercise {self.number(title)}", self.markdown(body))
        if name.startswith("prf:") or name == "exercise":
            number = "" if "nonumber" in options else f" {self.number(options.get('label', ''))}"
            return quoted(f"{kind}{number}" + (f" ({self.markdown(title)})" if title else ""), self.markdown(body))
        if name == "dropdown" or "dropdown" in options.get("class", ""):
            return folded(self.markdown(title) or kind, self.markdown(body))
        if name in ADMONITIONS.split():
            return quoted(self.markdown(title) or kind, self.markdown(body))
        if name in ("image", "figure"):
            picture = f"![{options.get('alt', '')}]({self.address(title, picture=True)})"
            return f"{picture}\n\n{self.markdown(body)}".rstrip()
        if name in ("code", "code-block"):
            return f"```{title}\n{body}\n```"
        if name == "math":
            return self.equation(body, options["label"]) if "label" in options else f"$$ {rows(body)} $$"
        if name in PLAIN.split():
            return self.markdown(body)
        raise ExtensionError(
            f"{self.docname}: book/colab.py doesn't know the directive {name!r}; say in Chapter.fence what becomes of it."
        )

    def role(self, node, context) -> str:
        """A reference, resolved as the pages have it, with a link to the page."""
        name, content = node.meta["name"], node.content
        if name == "math":
            return f"${content}$"
        domain, _, kind = name.rpartition(":")
        domain = domain or ("math" if kind == "eq" else "std")
        explicit = ReferenceRole.explicit_title_re.match(content)
        title, target = explicit.groups() if explicit else (content, content)
        target = target.lower() if domain == "std" and kind in ("ref", "numref") else target
        about = {"refdomain": domain, "reftype": kind, "reftarget": target, "refexplicit": bool(explicit), "refwarn": True}
        document = new_document("")
        document.settings.env = self.env
        shown = nodes.inline("", title, classes=["xref", domain, f"{domain}-{kind}"])
        document += nodes.paragraph("", "", pending_xref("", shown, refdoc=self.docname, **about))
        self.env.resolve_references(document, self.docname, self.builder)
        if not list(document.findall(nodes.reference)):
            raise ExtensionError(f"{self.docname}: {{{name}}}`{content}` leads nowhere.")
        return self.inline(document)

    def inline(self, node) -> str:
        if isinstance(node, nodes.Text):
            return node.astext().translate(str.maketrans("[]", "()"))  # square ones, as citations have, are a link's
        text = "".join(map(self.inline, node.children))
        if isinstance(node, nodes.reference):
            uri = node.get("refuri") or f"{self.builder.get_target_uri(self.docname)}#{node['refid']}"
            return f"[{text}]({self.builder.papers().get(uri, uri)})"
        return f"*{text}*" if isinstance(node, nodes.emphasis) else text

    def link(self, node, context) -> str:
        key = "src" if node.type == "image" else "href"
        node.attrs[key] = self.address(node.attrs[key], picture=key == "src")
        node.meta.pop("label", None)  # written in place, not by a list of addresses below
        return DEFAULT_RENDERERS[node.type](node, context)

    def address(self, target: str, picture: bool = False) -> str:
        """Where a link of the chapter leads to from anywhere: a page of the book, or a file of the repository."""
        if "://" in target or target.startswith(("mailto:", "data:")):
            return target
        path, _, place = target.partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(self.docname), path)) if path else f"{self.docname}.ipynb"
        docname = self.env.path2doc(path)
        if docname in self.env.found_docs:
            return self.builder.get_target_uri(docname) + (f"#{place}" if place else "")
        if not (Path(self.env.srcdir) / path).exists():
            raise ExtensionError(f"{self.docname}: the link {target} leads nowhere.")
        return f"{self.builder.repository()}/{'raw' if picture else 'blob'}/HEAD/{path}"

    def table(self, node, context) -> str:
        head, *body = (row for part in node.children for row in part.children)
        lines = [[cell.children[0].render(context).replace("|", "\\|") for cell in row.children] for row in (head, *body)]
        edges = {"left": ":---", "right": "---:", "center": ":---:"}
        styles = (str(cell.attrs.get("style", "")).rpartition(":")[2] for cell in head.children)
        lines.insert(1, [edges.get(style, "---") for style in styles])
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def one_line(node) -> str:
    """Formulas on one line: within a quoted block a second one would begin with `>`, which MathJax takes for a part of it."""
    return " ".join(node.content.split())


def rows(latex: str) -> str:
    """A formula whose rows are aligned, as Sphinx shows it: MathJax by itself takes `&` for an error."""
    bare = "\\\\" in latex and not latex.startswith("\\begin")
    return f"\\begin{{split}} {latex} \\end{{split}}" if bare else latex


class Colab(Builder):
    """Writes OUT/notebooks/*.ipynb, whose links lead to the same places from anywhere, and a README."""

    name = BRANCH
    format = "ipynb"
    epilog = "The plain notebooks are in %(outdir)s."

    def get_outdated_docs(self):
        return self.env.found_docs

    def get_target_uri(self, docname: str, typ: str | None = None) -> str:
        return f"{frames.PUBLISHED}{docname}.html"

    def get_relative_uri(self, from_: str, to: str, typ: str | None = None) -> str:
        return self.get_target_uri(to, typ)

    def papers(self) -> dict[str, str]:
        """Address of an entry in the bibliography -> address of what it names, where references.bib has one."""
        return {
            f"{self.get_target_uri(citation.bibliography_key.docname)}#{citation.citation_id}": citation.entry.fields["url"]
            for citation in self.env.get_domain("cite").citations
            if "url" in citation.entry.fields
        }

    def write(self, *_) -> None:
        chapters = []
        for docname in sorted(self.env.found_docs):
            path = Path(self.env.doc2path(docname))
            if path.suffix == ".ipynb":
                out = Path(self.outdir) / f"{docname}.ipynb"
                out.parent.mkdir(parents=True, exist_ok=True)
                notebook = self.plain(docname, json.loads(path.read_text(encoding="utf-8")))
                out.write_text(json.dumps(notebook, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
                chapters.append(f"- [{self.env.titles[docname].astext()}]({docname}.ipynb)\n")
        (Path(self.outdir) / "README.md").write_text(README.format(self.repository(), "".join(chapters)), encoding="utf-8")

    def repository(self) -> str:
        return self.config.html_theme_options["repository_url"]

    def plain(self, docname: str, notebook: dict) -> dict:
        """The notebook of a chapter, in place, without anything that only the pages understand."""
        chapter, cells = Chapter(self, docname), []
        for cell in notebook["cells"]:
            about, source = cell["metadata"], "".join(cell["source"])
            cell["metadata"] = {key: about[key] for key in ("tags",) if key in about}
            if cell["cell_type"] == "markdown":
                text = chapter.cell(source)
                if not cells:
                    page = f"[the chapter's page]({self.get_target_uri(docname)})"
                    text += f"\n\n*A copy of {page} for Colab and GitHub. There sliders move without a kernel.*"
                cell["source"] = text.splitlines(keepends=True)
            elif cell["cell_type"] == "code":
                if chapter.solution:
                    cell["outputs"], cell["execution_count"] = [], None
                if chapter.solution or HIDDEN & set(about.get("tags", [])):
                    cell["metadata"] |= {
                        "cellView": "form",
                        "jupyter": {"source_hidden": True},
                    }  # Colab's word, and JupyterLab's
                alt = about.get("mystnb", {}).get("image", {}).get("alt")
                for output in cell["outputs"]:
                    for kind in output.get("data", {}):
                        if alt and kind.startswith("image/"):
                            output["metadata"][kind] = {**output["metadata"].get(kind, {}), "alt": alt}
            if cell["source"]:
                cells.append(cell)
        notebook["metadata"].pop("jupytext", None)
        return {**notebook, "cells": cells}


def setup(app):
    app.add_builder(Colab)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

// What the generated pages lack for readers with a keyboard, a screen reader or paper.
{
  const all = (selector, change) => document.querySelectorAll(selector).forEach(change);

  const mend = () => {
    // a name other than the words to be seen cannot be spoken to press a button
    all(".search-button-field[aria-label], details.hide > summary[aria-label]", (e) => e.removeAttribute("aria-label"));

    // Docutils' role of an entry is deprecated, and is none of a list's
    all("[role=doc-biblioentry]", (e) => e.setAttribute("role", "listitem"));

    // the empty corner of a table is the head of nothing
    all("th", (th) => {
      if (th.textContent.trim() || th.querySelector("img, svg")) return;
      const td = document.createElement("td");
      td.className = th.className;
      th.replaceWith(td);
    });

    // a keyboard scrolls only what it can reach; a box may become too narrow, or be unfolded, at any time
    const names = new Map();
    const measure = new ResizeObserver((changes) => {
      for (const { target } of changes) {
        const box = names.has(target) ? target : target.parentElement;
        const scrolls = box.scrollWidth > box.clientWidth;
        for (const [key, value] of Object.entries({ tabindex: "0", role: "group", "aria-label": names.get(box) }))
          scrolls ? box.setAttribute(key, value) : box.removeAttribute(key);
      }
    });
    const watch = (name) => (box) => {
      names.set(box, name);
      measure.observe(box);
      if (box.firstElementChild) measure.observe(box.firstElementChild); // a table grows when its mathematics is set
    };
    all(".pst-scrollable-table-container", watch("Table, scrolls sideways"));
    all("pre:not(.cell_output pre)", watch("Code, scrolls sideways"));
  };
  document.addEventListener("DOMContentLoaded", mend);

  // paper is white, and nothing on it can be unfolded
  let theme, folded;
  addEventListener("beforeprint", () => {
    theme = document.documentElement.dataset.theme;
    document.documentElement.dataset.theme = "light";
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((e) => (e.open = true));
  });
  addEventListener("afterprint", () => {
    document.documentElement.dataset.theme = theme;
    folded.forEach((e) => (e.open = false));
  });
}

// Runs between RequireJS and the widgets' script (nb_ipywidgets_js in _config.yml).
{
  // that script looks for its fonts under its own name, below the page: tell it where they are
  const here = new URL("widgets", document.currentScript.src.replace(/[^/]*$/, "")).href;
  requirejs.config({ paths: { "@jupyter-widgets/html-manager/dist": here } });

  // and it calls MathJax by the interface of version 2: give it that of version 3, whatever of MathJax has been loaded
  const Hub = { Queue: ([, , element]) => MathJax.startup?.promise?.then(() => MathJax.typesetPromise([element])) };
  let mathjax = window.MathJax;
  if (mathjax) {
    mathjax.Hub = Hub;
    Object.defineProperty(window, "MathJax", { get: () => mathjax, set: (value) => (mathjax = Object.assign(value, { Hub })) });
  }
}

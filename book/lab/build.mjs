/**
 * Builds the pages: node build.mjs [FOLDER].  Writes gemm.wasm.js, the kernel, and lab.html and projector.html, each with
 * everything in one file, because browsers load neither modules nor workers from disk.  The same sources give the same bytes.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import esbuild from "esbuild";
import makeWabt from "wabt";

const here = path.dirname(fileURLToPath(import.meta.url));
const folder = path.resolve(process.argv[2] ?? here);
const source = (name) => readFile(path.join(here, name), "utf8");

const wabt = await makeWabt();
const module = wabt.parseWat("gemm.wat", await source("gemm.wat"), {
  simd: true,
});
module.validate();
const kernel = Buffer.from(module.toBinary({}).buffer).toString("base64");

const settings = {
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  write: false,
  charset: "utf8",
  absWorkingDir: here,
};
const kernelModule = `// Made from gemm.wat by \`npm run build\`.\nexport default\n  "${kernel}";\n`;
const fresh = {
  // the kernel just made, not the one that is in the folder
  name: "kernel",
  setup(build) {
    build.onLoad({ filter: /gemm\.wasm\.js$/ }, () => ({
      contents: kernelModule,
    }));
  },
};
const text = async (entry, plugins) =>
  (
    await esbuild.build({
      ...settings,
      entryPoints: [entry],
      plugins: [fresh, ...plugins],
    })
  ).outputFiles[0].text;
const worker = {
  // import source from "bundled:NAME": a script as a string, to start a worker from
  name: "bundled",
  setup(build) {
    build.onResolve({ filter: /^bundled:/ }, (args) => ({
      path: args.path.slice(8),
      namespace: "bundled",
    }));
    build.onLoad({ filter: /.*/, namespace: "bundled" }, async (args) => ({
      contents: await text(args.path, []),
      loader: "text",
    }));
  },
};

const script = async (name) =>
  (await text(`./${name}`, [worker])).replaceAll("</script", "<\\/script");
const style = async (name) =>
  (
    await esbuild.transform(await source(name), {
      loader: "css",
      minify: true,
      charset: "utf8",
    })
  ).code;

/** A page in which a comment that names a file is replaced by what is in it. */
async function filled(page) {
  let html = await source(page);
  for (const [comment, name, kind] of html.matchAll(
    /\/\* ([\w-]+\.(css|js)) \*\//g,
  )) {
    const content = await (kind === "css" ? style : script)(name);
    html = html.replace(comment, () => content.trim());
  }
  return html;
}

await mkdir(folder, { recursive: true });
await writeFile(path.join(folder, "gemm.wasm.js"), kernelModule);
for (const [page, built] of [
  ["page.html", "lab.html"],
  ["projector-page.html", "projector.html"],
])
  await writeFile(path.join(folder, built), await filled(page));

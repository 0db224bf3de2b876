import js from "@eslint/js";
import globals from "globals";

export default [
  { ignores: ["lab.html", "projector.html", "node_modules/"] },
  js.configs.recommended,
  { languageOptions: { globals: { ...globals.browser, ...globals.node } } },
];

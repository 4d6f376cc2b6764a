/** What keys do, told when somebody asks for it with one. */
import { button, el } from "./dom.js";

const KEYS = [
  ["Arrows", "move the cross over the picture, with Shift by ten steps"],
  ["Enter", "shows the series at the cross"],
  ["+  −  0", "zoom in, zoom out, show everything"],
  ["[  ]", "go a step back and on in time"],
  ["Space", "plays and pauses"],
  ["?", "shows this"],
];

/** @returns {HTMLElement} a button that shows the keys, as `?` does wherever nothing is typed */
export function keyHelp() {
  const rows = KEYS.map(([key, words]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, words)]);
  const close = el("button", { type: "submit" }, "Close");
  const dialog = el(
    "dialog",
    { class: "help", "aria-label": "Keys" },
    el("h2", {}, "Keys"),
    el("p", {}, "With the picture in focus:"),
    el("dl", { class: "summary" }, ...rows.flat()),
    el("form", { method: "dialog" }, close),
  );
  const show = () => dialog.open || dialog.showModal();
  document.body.append(dialog);
  addEventListener("keydown", ({ key, target }) => {
    const typing = target instanceof Element && target.matches("input, select, textarea");
    if (key === "?" && !typing) show();
  });
  return button("?", show, "Keys");
}

// Whatever comes from a model reaches the page through text nodes and attributes set one by one, never as markup.
const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);

// Control characters, lone surrogates and what turns the direction of writing are spelled out.
const HIDDEN = /[^\P{C}\n]|[\p{Zl}\p{Zp}]/gu;
const escaped = (n) => (n > 0xffff ? "\\U" + n.toString(16).padStart(8, "0") : "\\u" + n.toString(16).padStart(4, "0"));
const visible = (text) => String(text).replace(HIDDEN, (c) => escaped(c.codePointAt(0)));

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === "") continue;
    element.append(child instanceof Node ? child : document.createTextNode(visible(child)));
  }
  return element;
}
const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

async function unpack(id) {
  const raw = atob(byId(id).textContent);
  const bytes = Uint8Array.from(raw, (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

const collator = new Intl.Collator("en", { numeric: true });
const count = (n) => n.toLocaleString("en-US");
function size(bytes) {
  if (bytes === null) return "";
  let value = bytes;
  for (const unit of ["bytes", "kB", "MB", "GB"]) {
    if (value < 1000) return unit === "bytes" ? `${value} bytes` : `${value.toFixed(1)} ${unit}`;
    value /= 1000;
  }
  return `${value.toFixed(1)} TB`;
}
const number = (value) => (typeof value === "number" ? value : value === "Infinity" ? Infinity : NaN);
const plural = (n, word) => `${count(n)} ${word}${n === 1 ? "" : "s"}`;

let index = null;
const words = (outcome) => index.outcomes[outcome] || outcome.replace(/_/g, " ");
const tone = (outcome) => (Object.hasOwn(index.outcomes, outcome) ? outcome : "unknown");

// A path breaks behind a slash only, a flag nowhere. What is longer than a narrow screen breaks where it has to.
const LONGEST = 34;
const whole = (text) => el("span", { class: text.length > LONGEST ? "long" : "whole" }, text);
const path = (text) => visible(text).split(/(?<=[/])/).map((piece, i) => [i ? el("wbr") : "", whole(piece)]);

function prose(text) {
  return visible(text).split(/(\s+)/).map((word) => {
    const flag = /^([('"]?)(--\w.*?)([;:,.)]*)$/.exec(word);
    if (flag) return [flag[1], el("span", { class: "whole code" }, flag[2]), flag[3]];
    if (word.includes("/") || word.includes("_")) return path(word);
    return word.length > LONGEST ? el("span", { class: "long" }, word) : word;
  });
}

async function copy(text, button) {
  const before = button.textContent;
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = el("textarea", { class: "hidden-text", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    done = document.execCommand("copy");
    area.remove();
    button.focus();
  }
  byId("said").textContent = done ? "Copied." : "The browser does not allow copying; select the text instead.";
  button.textContent = done ? "Copied" : "Select it";
  setTimeout(() => { button.textContent = before; }, 1500);
}

function copyable(text) {
  const button = el("button", { type: "button", class: "copy", "aria-label": visible(`Copy ${text}`) }, "Copy");
  button.addEventListener("click", () => copy(text, button));
  return el("span", { class: "copyable" }, el("code", { tabindex: "0" }, text), button);
}

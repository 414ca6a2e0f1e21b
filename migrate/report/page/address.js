// What is filtered, the order and the open model are in the address, behind "#": reload keeps them, a link can be sent.

const SORTS = { model: 0, outcome: 1, kind: 2, tf: 3, size: 4, findings: 5, seconds: 7 };
const SIZE_NAMES = ["under-1MB", "1MB-10MB", "10MB-100MB", "100MB-1GB", "over-1GB"];
const UNKNOWN = "unknown";

// Of each filter: its name in the address, its field, and how its values are written there and read again.
const FILTERS = [
  ["name", "filter-name", (value) => value.trim(), (text) => text],
  ["outcome", "filter-outcome", (value) => value, (text) => text],
  ["kind", "filter-kind", (value) => value, (text) => text],
  ["finding", "filter-code", (value) => (value === "-1" ? "none" : index.codes[Number(value)]), (text) => (text === "none" ? "-1" : index.codes.includes(text) ? String(index.codes.indexOf(text)) : "")],
  ["tf", "filter-version", (value) => (value === "\n" ? UNKNOWN : value), (text) => (text === UNKNOWN ? "\n" : text)],
  ["size", "filter-size", (value) => SIZE_NAMES[Number(value)], (text) => String(SIZE_NAMES.indexOf(text))],
];
const encoded = (text) => encodeURIComponent(text.toWellFormed ? text.toWellFormed() : text);

// The address of what is shown now, with model `i` open, or with none for -1.
function address(i) {
  const parts = i >= 0 ? [`model-${i}`] : [];
  for (const [key, id, write] of FILTERS) if (byId(id).value) parts.push(`${key}=${encoded(write(byId(id).value))}`);
  if (sort.column >= 0) parts.push(`sort=${sort.down ? "-" : ""}${Object.keys(SORTS).find((name) => SORTS[name] === sort.column)}`);
  if (page > 0) parts.push(`page=${page + 1}`);
  return `#${parts.join("&")}`;
}

function keepAddress() {
  history.replaceState(null, "", location.href.split("#")[0] + address(-1));
}

// Sets the filters as the address says; gives the model that it opens (-1 for none), and says what it does not know.
function readAddress() {
  const wanted = new Map();
  const ignored = [];
  let model = -1;
  let at = 0;
  sort = { column: -1, down: false };
  for (const part of location.hash.slice(1).split("&").filter((text) => text && text !== "main")) {
    if (!readPart(part)) ignored.push(part);
  }
  for (const [, id] of FILTERS) byId(id).value = wanted.get(id) || "";
  const notice = byId("ignored");
  notice.hidden = !ignored.length;
  notice.textContent = ignored.length ? `Ignored in the address, because this report does not have it: ${visible(ignored.join(", ")).slice(0, 300)}` : "";
  refresh(at);
  return model;

  function readPart(part) {
    const opened = /^model-(\d{1,7})$/.exec(part);
    if (opened) {
      if (Number(opened[1]) >= index.rows.length) return false;
      model = Number(opened[1]);
      return true;
    }
    const [key, ...rest] = part.split("=");
    let text;
    try {
      text = decodeURIComponent(rest.join("="));
    } catch {
      return false;
    }
    if (key === "sort") {
      const name = text.replace(/^-/, "");
      if (!Object.hasOwn(SORTS, name)) return false;
      sort = { column: SORTS[name], down: text.startsWith("-") };
      return true;
    }
    if (key === "page") {
      if (!/^[1-9]\d{0,6}$/.test(text)) return false;
      at = Number(text) - 1;
      return true;
    }
    const found = FILTERS.find(([name]) => name === key);
    if (!found || !text) return false;
    const [, id, , read] = found;
    const field = byId(id);
    const value = read(text);
    if (field.options && (!value || ![...field.options].some((option) => option.value === value))) return false;
    wanted.set(id, value);
    return true;
  }
}

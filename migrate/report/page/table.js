const PAGE_ROWS = 100;
let shown = [];
let page = 0;
let sort = { column: -1, down: false };

const SIZES = [
  ["under 1 MB", 0, 1e6],
  ["1 to 10 MB", 1e6, 1e7],
  ["10 to 100 MB", 1e7, 1e8],
  ["100 MB to 1 GB", 1e8, 1e9],
  ["1 GB and more", 1e9, Infinity],
];

// The table.

function offer(id, options) {
  for (const [value, text] of options) byId(id).append(el("option", { value }, text));
}

function addOptions() {
  const tally = (column) => {
    const counts = new Map();
    for (const row of index.rows) counts.set(row[column], (counts.get(row[column]) || 0) + 1);
    return [...counts];
  };
  const known = Object.keys(index.outcomes);
  const place = (name) => (known.includes(name) ? known.indexOf(name) : known.length);
  offer("filter-outcome", tally(1).sort((a, b) => place(a[0]) - place(b[0])).map(([o, n]) => [o, `${words(o)} (${count(n)})`]));
  offer("filter-kind", tally(2).sort().map(([k, n]) => [k, `${k} (${count(n)})`]));
  const versions = tally(3).sort((a, b) => collator.compare(a[0], b[0]));
  offer("filter-version", versions.map(([v, n]) => [v || "\n", `${v || "not said"} (${count(n)})`]));
  const codes = index.codes.map(() => 0);
  for (const row of index.rows) for (const code of row[5]) codes[code] += 1;
  offer("filter-code", [["-1", "none"], ...index.codes.map((code, i) => [String(i), `${code} (${count(codes[i])})`])]);
  offer("filter-size", SIZES.map(([text], i) => [String(i), text]));
}

function filtered() {
  const name = byId("filter-name").value.trim().toLowerCase();
  const [outcome, kind, code, version, bytes] = ["outcome", "kind", "code", "version", "size"].map((k) => byId(`filter-${k}`).value);
  const range = bytes === "" ? null : SIZES[Number(bytes)];
  const result = [];
  index.rows.forEach((row, i) => {
    if (name && !index.lower[i].includes(name)) return;
    if (outcome && row[1] !== outcome) return;
    if (kind && row[2] !== kind) return;
    if (version && row[3] !== (version === "\n" ? "" : version)) return;
    if (code === "-1" ? row[5].length : code && !row[5].includes(Number(code))) return;
    if (range && (row[4] === null || row[4] < range[1] || row[4] >= range[2])) return;
    result.push(i);
  });
  return result;
}

function sorted(rows) {
  const { column, down } = sort;
  if (column < 0) return rows;
  const known = Object.keys(index.outcomes);
  const key = (row) => {
    if (column === 1) return known.indexOf(row[1]) < 0 ? known.length : known.indexOf(row[1]);
    if (column === 5) return row[6] * 1e6 + row[5].length;
    if (column === 4 && row[4] === null) return -1;
    return row[column];
  };
  const keys = new Map(rows.map((i) => [i, key(index.rows[i])]));
  const compare = (a, b) => (typeof keys.get(a) === "string" ? collator.compare(keys.get(a), keys.get(b)) : keys.get(a) - keys.get(b));
  return rows.sort((a, b) => (down ? compare(b, a) : compare(a, b)) || a - b);
}

function outcomeMark(outcome, verified) {
  const text = words(outcome) + (outcome === "converted" ? (verified ? ", verified" : ", not verified") : "");
  return el("span", { class: "outcome" }, el("span", { class: `dot fill-${tone(outcome)}`, "aria-hidden": "true" }), text);
}

const NONE = () => [el("span", { "aria-hidden": "true", class: "quiet" }, "\u2013"), el("span", { class: "hidden-text" }, "not known")];

function tableRow(i) {
  const [name, outcome, kind, version, bytes, codes, , seconds, verified, , reason, unreadable] = index.rows[i];
  const coded = codes.length ? [el("span", { class: "whole" }, index.codes[codes[0]]), codes.length > 1 ? [" ", el("span", { class: "whole" }, `and ${codes.length - 1} more`)] : ""] : NONE();
  // Why it cannot be read begins with a path; its own page says it.
  const first = unreadable ? "unreadable" : reason ? prose(reason) : coded;
  return el("tr", null,
    el("th", { scope: "row" }, el("a", { href: address(i), "data-model": i }, name ? path(name) : "(no name)")),
    el("td", null, outcomeMark(outcome, verified)),
    el("td", null, kind),
    el("td", null, version || NONE()),
    el("td", { class: reason && !unreadable ? "reason" : "first" }, first),
    el("td", { class: "right" }, size(bytes) || NONE()),
    el("td", { class: "right" }, seconds.toFixed(2)));
}

function draw() {
  const pages = Math.max(1, Math.ceil(shown.length / PAGE_ROWS));
  page = Math.min(Math.max(page, 0), pages - 1);
  const start = page * PAGE_ROWS;
  const rows = shown.slice(start, start + PAGE_ROWS);
  byId("rows").replaceChildren(...rows.map(tableRow));
  const of = shown.length === index.rows.length ? "" : ` (of ${count(index.rows.length)})`;
  byId("status").textContent = shown.length
    ? `Showing ${count(start + 1)} to ${count(start + rows.length)} of ${plural(shown.length, "model")}${of}.`
    : `No model fits${of}.`;
  byId("page").textContent = `Page ${count(page + 1)} of ${count(pages)}`;
  byId("previous").disabled = page === 0;
  byId("next").disabled = page === pages - 1;
  document.querySelector(".pager").hidden = pages === 1;
}

function press() {
  for (const [key, id] of [["outcome", "filter-outcome"], ["code", "filter-code"]]) {
    for (const button of document.querySelectorAll(`button[data-${key}]`)) {
      button.setAttribute("aria-pressed", String(button.dataset[key] === byId(id).value));
    }
  }
  for (const button of document.querySelectorAll("button[data-sort]")) {
    const state = sort.column !== Number(button.dataset.sort) ? "none" : sort.down ? "descending" : "ascending";
    button.closest("th").setAttribute("aria-sort", state);
  }
}

// Shows what the filters and the order say; the page of the table is the first one, unless the address names another.
function refresh(at = 0) {
  shown = sorted(filtered());
  page = at;
  press();
  draw();
  offerCommand();
}

// The same after the user has changed something, which the address then says, too.
function changed() {
  refresh();
  keepAddress();
}

function listen() {
  byId("filters").addEventListener("input", changed);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("filters").addEventListener("reset", () => setTimeout(changed));
  for (const [key, id] of [["outcome", "filter-outcome"], ["code", "filter-code"]]) {
    for (const button of document.querySelectorAll(`button[data-${key}]`)) {
      button.addEventListener("click", () => {
        byId(id).value = byId(id).value === button.dataset[key] ? "" : button.dataset[key];
        changed();
      });
    }
  }
  for (const button of document.querySelectorAll("button[data-sort]")) {
    button.addEventListener("click", () => {
      const column = Number(button.dataset.sort);
      sort = { column, down: sort.column === column && !sort.down };
      changed();
    });
  }
  const turn = (by) => () => { page += by; draw(); keepAddress(); byId("models").scrollIntoView({ block: "start" }); };
  byId("previous").addEventListener("click", turn(-1));
  byId("next").addEventListener("click", turn(1));
  window.addEventListener("hashchange", route);
  document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); byId("main").focus(); });
  byId("csv").addEventListener("click", saveCsv);
  byId("copy-command").addEventListener("click", () => copy(byId("command").textContent, byId("copy-command")));
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.addEventListener("click", () => copy(button.dataset.copy, button));
  }
}

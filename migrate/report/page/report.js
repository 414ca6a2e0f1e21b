"use strict";
// Whatever comes from a model reaches the page through text nodes and attributes set one by one, never as markup.
(() => {
  const PAGE_ROWS = 100;
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
  let shown = [];
  let page = 0;
  let sort = { column: -1, down: false };
  const chunks = new Map();

  const SIZES = [
    ["under 1 MB", 0, 1e6],
    ["1 to 10 MB", 1e6, 1e7],
    ["10 to 100 MB", 1e7, 1e8],
    ["100 MB to 1 GB", 1e8, 1e9],
    ["1 GB and more", 1e9, Infinity],
  ];
  const words = (outcome) => index.outcomes[outcome] || outcome.replace(/_/g, " ");
  const tone = (outcome) => (Object.hasOwn(index.outcomes, outcome) ? outcome : "unknown");

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

  function tableRow(i) {
    const [name, outcome, kind, version, bytes, codes, , seconds, verified] = index.rows[i];
    const first = codes.length ? index.codes[codes[0]] + (codes.length > 1 ? ` and ${codes.length - 1} more` : "") : "";
    return el("tr", null,
      el("th", { scope: "row" }, el("a", { href: `#model-${i}` }, name || "(no name)")),
      el("td", null, outcomeMark(outcome, verified)),
      el("td", null, kind),
      el("td", { class: "names" }, version),
      el("td", { class: "names" }, first),
      el("td", { class: "right" }, size(bytes)),
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

  function refresh() {
    shown = sorted(filtered());
    page = 0;
    for (const [key, id] of [["outcome", "filter-outcome"], ["code", "filter-code"]]) {
      for (const button of document.querySelectorAll(`button[data-${key}]`)) {
        button.setAttribute("aria-pressed", String(button.dataset[key] === byId(id).value));
      }
    }
    draw();
  }

  function listen() {
    byId("filters").addEventListener("input", refresh);
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    byId("filters").addEventListener("reset", () => setTimeout(refresh));
    for (const [key, id] of [["outcome", "filter-outcome"], ["code", "filter-code"]]) {
      for (const button of document.querySelectorAll(`button[data-${key}]`)) {
        button.addEventListener("click", () => {
          byId(id).value = byId(id).value === button.dataset[key] ? "" : button.dataset[key];
          refresh();
        });
      }
    }
    for (const button of document.querySelectorAll("button[data-sort]")) {
      button.addEventListener("click", () => {
        const column = Number(button.dataset.sort);
        sort = { column, down: sort.column === column && !sort.down };
        for (const head of document.querySelectorAll("th[aria-sort]")) head.setAttribute("aria-sort", "none");
        button.closest("th").setAttribute("aria-sort", sort.down ? "descending" : "ascending");
        refresh();
      });
    }
    const turn = (by) => () => { page += by; draw(); byId("models").scrollIntoView({ block: "start" }); };
    byId("previous").addEventListener("click", turn(-1));
    byId("next").addEventListener("click", turn(1));
    window.addEventListener("hashchange", route);
  }

  // One model.

  const card = (title, ...children) => el("section", null, el("h2", null, title), el("div", { class: "card" }, ...children));
  const table = (caption, heads, rows) =>
    el("div", { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" },
      el("table", { class: "small" },
        el("caption", { class: "hidden-text" }, caption),
        el("thead", null, el("tr", null, heads.map((head) => el("th", { scope: "col" }, head.startsWith("*") ? el("span", { class: "hidden-text" }, head.slice(1)) : head)))),
        el("tbody", null, rows)));
  const more = (n, what) => (n ? el("p", { class: "quiet" }, `${count(n)} more ${what} in report.json.`) : "");

  function findings(model) {
    if (!model.findings.length) return "";
    return card("Findings", model.findings.map((finding) => el("div", { class: "finding" },
      el("div", { class: "head" }, el("span", { class: `tag ${["note", "warning", "refusal"].includes(finding.severity) ? finding.severity : "note"}` }, finding.severity),
        el("strong", { class: "code" }, finding.code)),
      el("p", null, finding.message),
      finding.hint ? el("p", { class: "hint" }, "What to do: ", finding.hint) : "",
      finding.template ? el("pre", { class: "code", tabindex: "0" }, finding.template) : "",
      finding.nodes.length ? el("details", null, el("summary", null, plural(finding.nodes.length + finding.more, "node")),
        el("ul", { class: "code" }, finding.nodes.map((node) => el("li", null, node)), finding.more ? el("li", null, `${count(finding.more)} more`) : "")) : "")));
  }

  function signatures(model) {
    if (!model.signatures.length) return "";
    const tensor = (t) => (t ? [el("span", { class: "code" }, t[0]), el("br"), `${t[1]} ${t[2]}`] : "\u2014");
    return card("Signatures", model.signatures.map((signature) => {
      const [before, after] = signature.method;
      const heads = ["*direction", "name", ...(signature.converted ? ["before", "after", "*compared"] : ["tensor"])];
      return el("div", { class: "signature" },
        el("h3", null, signature.key),
        el("p", { class: "quiet" }, before === after || !signature.converted ? `Method ${before || after || "(empty)"}`
          : before === null ? "Only in the new model" : after === null ? "Left out of the new model" : `Method ${before || "(empty)"}, now ${after || "(empty)"}`),
        table(`Signature ${visible(signature.key)}`, heads, signature.tensors.map(([direction, name, old, fresh]) => {
          const same = old && fresh && old[1] === fresh[1] && old[2] === fresh[2];
          return el("tr", null, el("td", null, direction), el("th", { scope: "row" }, name), el("td", null, tensor(old)),
            signature.converted ? [el("td", null, tensor(fresh)), el("td", { class: same ? "same" : "differs" }, same ? "same dtype and shape" : "differs")] : "");
        })));
    }));
  }

  function variables(model) {
    if (!model.variables.length) return "";
    const row = ([name, dtype, shape, roles]) => el("tr", null, el("th", { scope: "row", class: "code" }, name), el("td", null, dtype), el("td", null, shape), el("td", null, roles));
    const first = 25;
    const shownTable = table("Variables", ["name", "dtype", "shape", "*role"], model.variables.slice(0, first).map(row));
    const rest = model.variables.length - first;
    const button = rest > 0 ? el("button", { type: "button", class: "plain" }, `Show ${count(rest)} more`) : "";
    if (button) button.addEventListener("click", () => {
      shownTable.querySelector("tbody").append(...model.variables.slice(first).map(row));
      button.remove();
      shownTable.focus();
    });
    return el("section", null, el("h2", null, `Variables (${count(model.variables.length + model.more_variables)})`), shownTable,
      el("p", null), button, more(model.more_variables, "variables"));
  }

  function verification(model) {
    const found = model.verification;
    if (!found) return "";
    return card("Comparison",
      el("p", null, found.told),
      found.outputs.length ? [
        el("h3", null, found.bitwise_equal ? "Largest difference of each output: none, every one is equal bit for bit" : "Largest difference of each output"),
        plot(found.outputs)] : "",
      more(found.more_outputs, "outputs"),
      found.mismatches.length ? [el("h3", null, "Mismatches"),
        table("Mismatches", ["signature", "output", "call", "loaded as", "what differs"], found.mismatches.map((m) => el("tr", null, m.map((cell) => el("td", null, cell)))))] : "",
      more(found.more_mismatches, "mismatches"),
      found.unverified.length ? [el("h3", null, "No value was compared of"),
        el("dl", { class: "facts" }, found.unverified.map(([what, why]) => [el("dt", null, what), el("dd", null, why)]))] : "",
      found.skipped.length ? [el("h3", null, "Signatures whose calls fail in TF1, too"),
        el("dl", { class: "facts" }, found.skipped.map(([key, why]) => [el("dt", null, key), el("dd", null, why)]))] : "");
  }

  // The largest difference of each output, on a logarithmic axis whose left end is "equal".
  function plot(outputs) {
    const shownOutputs = outputs.slice(0, 60);
    const values = shownOutputs.map((o) => number(o[2])).filter((v) => v > 0 && Number.isFinite(v)).map(Math.log10);
    const low = Math.min(-9, ...values.map(Math.floor));
    const high = Math.max(0, ...values.map(Math.ceil));
    const [left, right, row, top] = [280, 700, 24, 26];
    const x = (value) => (value === 0 ? left : Number.isFinite(value) ? left + 48 + ((Math.log10(value) - low) / (high - low)) * (right - left - 72) : right);
    const height = top + row * shownOutputs.length + 4;
    const ticks = [["0", left], [`1e${low}`, x(10 ** low)], [`1e${Math.round((low + high) / 2)}`, x(10 ** Math.round((low + high) / 2))], [`1e${high}`, x(10 ** high)]];
    const short = (text, most) => (text.length > most ? text.slice(0, most / 2 - 1) + "\u2026" + text.slice(-most / 2) : text);
    const told = (o) => (o[4] ? "equal" : `${number(o[2]).toPrecision(3)}` + (o[3] ? `, ${plural(o[3], "ulp")}` : ""));
    return svg("svg", { class: "plot", viewBox: `0 0 860 ${height}`, role: "img", "aria-label": "Largest absolute difference of each output: " + shownOutputs.map((o) => visible(`${o[0]} ${o[1]} ${told(o)}`)).join("; ") },
      ticks.map(([text, at]) => [svg("line", { x1: at, x2: at, y1: top - 6, y2: height }), svg("text", { x: at, y: 12, class: "soft", "text-anchor": "middle" }, text)]),
      shownOutputs.map((o, i) => {
        const y = top + row * i + row / 2;
        const at = x(number(o[2]));
        return svg("g", null, svg("title", null, `${o[0]}, ${o[1]}, loaded as ${o[5]}`),
          svg("text", { x: 0, y: y + 4 }, short(visible(o[0]) + " / " + visible(o[1]), 42)),
          svg("line", { x1: left, x2: right, y1: y, y2: y }),
          svg("circle", { cx: at, cy: y, r: 4.5, class: o[4] ? "fill-converted" : "fill-refused" }),
          svg("text", { x: 718, y: y + 4, class: "soft" }, told(o)));
      }));
  }

  function timings(model) {
    const steps = model.seconds;
    if (!steps.length) return "";
    const most = Math.max(...steps.map((s) => s[1]), 1e-9);
    return card("Timings", svg("svg", { class: "plot", viewBox: `0 0 860 ${steps.length * 26}`, role: "img", "aria-label": "Seconds by step: " + steps.map(([s, n]) => visible(`${s} ${n.toFixed(2)}`)).join(", ") },
      steps.map(([step, seconds], i) => svg("g", null,
        svg("text", { x: 0, y: i * 26 + 17 }, step.length > 18 ? step.slice(0, 17) + "\u2026" : step),
        svg("rect", { x: 130, y: i * 26 + 6, height: 14, rx: 2, width: Math.max(1, (seconds / most) * 600), class: "fill-accent" }),
        svg("text", { x: 130 + Math.max(1, (seconds / most) * 600) + 8, y: i * 26 + 17, class: "soft" }, `${seconds.toFixed(2)} s`)))));
  }

  // A layered drawing of at most some dozens of nodes: longest path from the sources, barycentres, dummies on long edges.

  function layout(graph) {
    const n = graph.nodes.length;
    const next = Array.from({ length: n }, () => []);
    for (const [from, to] of graph.edges) if (from !== to) next[from].push(to);
    const state = new Array(n).fill(0);
    const back = new Set();
    for (let root = 0; root < n; root += 1) {
      if (state[root]) continue;
      const stack = [[root, 0]];
      state[root] = 1;
      while (stack.length) {
        const top = stack[stack.length - 1];
        if (top[1] === next[top[0]].length) { state[top[0]] = 2; stack.pop(); continue; }
        const to = next[top[0]][top[1]++];
        if (state[to] === 1) back.add(`${top[0]} ${to}`);
        else if (!state[to]) { state[to] = 1; stack.push([to, 0]); }
      }
    }
    const edges = graph.edges.filter(([a, b]) => a !== b).map(([from, to, control]) => {
      const turned = back.has(`${from} ${to}`);
      return { from: turned ? to : from, to: turned ? from : to, control, turned };
    });
    const layer = new Array(n).fill(0);
    for (let round = 0; round < n; round += 1) {
      let moved = false;
      for (const e of edges) if (layer[e.to] < layer[e.from] + 1) { layer[e.to] = layer[e.from] + 1; moved = true; }
      if (!moved) break;
    }
    // A source stands right above its first consumer.
    for (let i = 0; i < n; i += 1) {
      const out = edges.filter((e) => e.from === i);
      if (out.length && !edges.some((e) => e.to === i)) layer[i] = Math.min(...out.map((e) => layer[e.to])) - 1;
    }
    const items = graph.nodes.map((_, i) => ({ layer: layer[i], width: 152, node: i, up: [], down: [] }));
    for (const e of edges) {
      let last = e.from;
      e.points = [e.from];
      for (let l = layer[e.from] + 1; l < layer[e.to]; l += 1) {
        items.push({ layer: l, width: 14, node: -1, up: [], down: [] });
        items[last].down.push(items.length - 1);
        items[items.length - 1].up.push(last);
        last = items.length - 1;
        e.points.push(last);
      }
      items[last].down.push(e.to);
      items[e.to].up.push(last);
      e.points.push(e.to);
    }
    const layers = [];
    items.forEach((item, i) => { (layers[item.layer] = layers[item.layer] || []).push(i); });
    const place = new Array(items.length).fill(0);
    const settle = (list) => list.forEach((i, at) => { place[i] = at; });
    layers.forEach(settle);
    for (let sweep = 0; sweep < 8; sweep += 1) {
      const down = sweep % 2 === 0;
      const order = down ? layers : [...layers].reverse();
      for (const list of order) {
        if (!list) continue;
        const weight = new Map(list.map((i) => {
          const near = down ? items[i].up : items[i].down;
          return [i, near.length ? near.reduce((sum, j) => sum + place[j] / Math.max(1, layers[items[j].layer].length - 1), 0) / near.length : place[i] / Math.max(1, list.length - 1)];
        }));
        list.sort((a, b) => weight.get(a) - weight.get(b) || place[a] - place[b]);
        settle(list);
      }
    }
    const gap = 16;
    const widths = layers.map((list) => (list || []).reduce((sum, i) => sum + items[i].width + gap, -gap));
    const width = Math.max(...widths, 60);
    layers.forEach((list, l) => {
      let x = (width - widths[l]) / 2;
      for (const i of list || []) { items[i].x = x + items[i].width / 2; items[i].y = l * 76 + 20; x += items[i].width + gap; }
    });
    return { items, edges, width, height: (layers.length - 1) * 76 + 40 };
  }

  let pictures = 0;
  function picture(graph, side, run) {
    if (!graph.nodes.length) return el("p", { class: "quiet" }, "No node of this part is left.");
    const { items, edges, width, height } = layout(graph);
    const arrow = `arrow-${(pictures += 1)}`;
    const short = (text, most) => (text.length > most ? text.slice(0, 8) + "\u2026" + text.slice(9 - most) : text);
    const path = (e) => {
      const points = e.points.map((i) => [items[i].x, items[i].y]);
      points[0] = [points[0][0], points[0][1] + 19];
      points[points.length - 1] = [points[points.length - 1][0], points[points.length - 1][1] - 21];
      if (e.turned) points.reverse();
      let d = `M${points[0][0]},${points[0][1]}`;
      for (let i = 1; i < points.length; i += 1) {
        const middle = (points[i - 1][1] + points[i][1]) / 2;
        d += `C${points[i - 1][0]},${middle} ${points[i][0]},${middle} ${points[i][0]},${points[i][1]}`;
      }
      return svg("path", { d, class: e.control ? "edge control" : "edge", "marker-end": `url(#${arrow})` });
    };
    return svg("svg", { class: "graph", viewBox: `-6 -6 ${width + 12} ${height + 12}`, width: width + 12, role: "img",
      "aria-label": visible(`Graph of ${run}, ${side}: `) + graph.nodes.map(([name, op, changed]) => visible(`${op} ${name}${changed ? " (changed)" : ""}`)).join(", ") },
      svg("defs", null, svg("marker", { id: arrow, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" }, svg("path", { d: "M0,0L8,4L0,8z" }))),
      edges.map(path),
      graph.nodes.map(([name, op, changed], i) => svg("g", { class: changed ? (side === "before" ? "changed" : "fresh") : "plainnode" },
        svg("title", null, `${op} ${name}`),
        svg("rect", { x: items[i].x - 76, y: items[i].y - 19, width: 152, height: 38, rx: 5 }),
        svg("text", { x: items[i].x, y: items[i].y - 3, "text-anchor": "middle", class: "op" }, short(visible(op), 20)),
        svg("text", { x: items[i].x, y: items[i].y + 12, "text-anchor": "middle", class: "name" }, short(visible(name), 24)))));
  }

  function rewrites(model) {
    if (!model.sketches.length) return "";
    return card("What the rewrite changes",
      el("p", { class: "quiet" }, "A part of each run, before and after. Coloured nodes are changed, taken out or new; dashed edges are control edges."),
      model.sketches.map((sketch) => el("div", { class: "rewrite" },
        el("h3", null, `${sketch.run}: ${plural(sketch.changed, "node")} changed`),
        el("ul", { class: "chips", "aria-label": "Ops among the changed nodes" }, sketch.ops.map(([op, before, after]) => el("li", null, el("span", { class: "code" }, op), ` ${count(before)} \u2192 ${count(after)}`))),
        el("div", { class: "pictures" },
          el("figure", null, el("figcaption", null, "Before"), picture(sketch.before, "before", sketch.run)),
          el("figure", null, el("figcaption", null, "After"), picture(sketch.after, "after", sketch.run))))));
  }

  async function details(i) {
    const chunk = Math.floor(i / index.chunk);
    if (!chunks.has(chunk)) chunks.set(chunk, unpack(`chunk-${chunk}`));
    return (await chunks.get(chunk))[i % index.chunk];
  }

  async function open(i) {
    const model = await details(i);
    const row = index.rows[i];
    const at = shown.indexOf(i);
    const step = (to, text) => (to === undefined ? el("button", { type: "button", class: "plain", disabled: true }, text) : jump(to, text));
    const jump = (to, text) => {
      const button = el("button", { type: "button", class: "plain" }, text);
      button.addEventListener("click", () => { location.hash = `model-${to}`; });
      return button;
    };
    const title = el("h1", { id: "model-title", tabindex: "-1" }, row[0] || "(no name)");
    const article = byId("model");
    article.replaceChildren(...[
      index.rows.length > 1 ? el("div", { class: "back" }, el("a", { href: "#" }, "All models"),
        el("nav", { "aria-label": "Neighbours in the table" }, step(at > 0 ? shown[at - 1] : undefined, "Previous"), step(at >= 0 ? shown[at + 1] : undefined, "Next"))) : null,
      title,
      el("p", { class: "verdict" }, el("span", { class: `dot fill-${tone(model.outcome)}`, "aria-hidden": "true" }),
        el("span", null, el("strong", null, words(model.outcome).replace(/^./, (c) => c.toUpperCase())), model.explanation ? `. ${model.explanation}` : "")),
      model.tail ? el("pre", null, model.tail) : null,
      el("p", { class: "paths" }, "Source: ", el("span", { class: "code" }, model.source), model.destination ? [el("br"), "Destination: ", el("span", { class: "code" }, model.destination)] : ""),
      findings(model),
      card("The model", el("dl", { class: "facts" }, model.facts.map(([label, text]) => [el("dt", null, label), el("dd", null, text)]))),
      verification(model),
      signatures(model),
      rewrites(model),
      variables(model),
      timings(model),
    ].filter((part) => part));
    article.hidden = false;
    article.dataset.shown = String(i);
    byId("overview").hidden = true;
    document.title = `${visible(row[0])}: migration report`;
    window.scrollTo(0, 0);
    title.focus({ preventScroll: true });
  }

  let last = -1;
  async function route() {
    const match = /^#model-(\d{1,7})$/.exec(location.hash);
    const wanted = match ? Number(match[1]) : index.rows.length === 1 ? 0 : -1;
    if (wanted >= 0 && wanted < index.rows.length) {
      last = wanted;
      await open(wanted);
      return;
    }
    byId("model").hidden = true;
    byId("overview").hidden = false;
    document.title = `Migration report: ${byId("headline").textContent}`;
    if (last >= 0) {
      const link = document.querySelector(`a[href="#model-${last}"]`);
      if (link) link.focus();
      last = -1;
    }
  }

  async function start() {
    index = await unpack("index");
    index.lower = index.rows.map((row) => row[0].toLowerCase());
    addOptions();
    listen();
    refresh();
    await route();
    document.documentElement.dataset.ready = "true";
  }
  start().catch((error) => {
    byId("status").textContent = "This browser cannot unfold the report (it needs DecompressionStream: Chrome 93, Firefox 113, Safari 16.4 or later).";
    console.error(error);
  });
})();

const chunks = new Map();

// One model.

const card = (title, ...children) => el("section", null, el("h2", null, title), el("div", { class: "card" }, ...children));
const table = (caption, heads, rows) =>
  el("div", { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" },
    el("table", { class: "small" },
      el("caption", { class: "hidden-text" }, caption),
      el("thead", null, el("tr", null, heads.map((head) => el("th", { scope: "col" }, head)))),
      el("tbody", null, rows)));
// A table with sentences in it. On a narrow screen each row is a list, of which CSS says the heads again; the roles keep it a table.
const listed = (caption, heads, rows) =>
  el("div", { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" },
    el("table", { class: "small listed", role: "table" },
      el("caption", { class: "hidden-text" }, caption),
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, heads.map((head) => el("th", { scope: "col", role: "columnheader" }, head)))),
      el("tbody", { role: "rowgroup" }, rows.map((cells) => el("tr", { role: "row" }, cells.map((cell, i) =>
        el("td", { role: "cell", "data-head": heads[i], class: String(cell).length > 40 ? "says" : null }, el("span", null, prose(cell)))))))));
// A drawing that a narrow screen shows a part of, rather than all of it too small to read.
const wide = (label, drawing) => el("div", { class: "wide-drawing", role: "region", "aria-label": label, tabindex: "0" }, drawing);
const more = (n, what) => (n ? el("p", { class: "quiet" }, `${count(n)} more ${what} in report.json.`) : "");

// A refusal that a proposal solves has the colour of flags.
const findingTone = (severity, outcome) =>
  (severity === "refusal" && outcome === "flagged" ? "flag" : ["note", "warning", "refusal"].includes(severity) ? severity : "note");

function findings(model) {
  if (!model.findings.length) return "";
  return card("Findings", model.findings.map((finding) => el("div", { class: "finding" },
    el("div", { class: "head" }, el("span", { class: `tag ${findingTone(finding.severity, model.outcome)}` }, finding.severity),
      el("strong", { class: "code" }, finding.code)),
    el("p", null, prose(finding.message)),
    finding.action.length ? el("div", { class: "action" }, el("strong", null, "What to do"), finding.action.map(([text, copied]) => el("p", null, copied ? copyable(text) : prose(text)))) : "",
    finding.template ? el("pre", { class: "code", tabindex: "0" }, finding.template) : "",
    finding.nodes.length ? el("details", null, el("summary", null, plural(finding.nodes.length + finding.more, finding.about)),
      el("ul", { class: "code" }, finding.nodes.map((node) => el("li", null, path(node))), finding.more ? el("li", null, `${count(finding.more)} more`) : "")) : "")));
}

function commands(model) {
  if (!model.commands.length) return "";
  return card("Proposals", model.commands.map(([what, command]) => el("div", { class: "proposal" }, el("p", null, what), copyable(command))));
}

function signatures(model) {
  if (!model.signatures.length) return "";
  const tensor = (t) => (t ? [el("span", { class: "code" }, path(t[0])), el("br"), `${t[1]} ${t[2]}`] : "\u2014");
  return card("Signatures", model.signatures.map((signature) => {
    const [before, after] = signature.method;
    const heads = ["direction", "name", ...(signature.converted ? ["before", "after", "compared"] : ["tensor"])];
    return el("div", { class: "signature" },
      el("h3", null, signature.key),
      el("p", { class: "quiet" }, before === after || !signature.converted ? `Method ${before || after || "(empty)"}`
        : before === null ? "Only in the new model" : after === null ? "Left out of the new model" : `Method ${before || "(empty)"}, now ${after || "(empty)"}`),
      table(`Signature ${visible(signature.key)}`, heads, signature.tensors.map(([direction, name, old, fresh]) => {
        const same = old && fresh && old[1] === fresh[1] && old[2] === fresh[2];
        return el("tr", null, el("td", null, direction), el("th", { scope: "row" }, path(name)), el("td", null, tensor(old)),
          signature.converted ? [el("td", null, tensor(fresh)), el("td", { class: same ? "same" : "differs" }, same ? "same dtype and shape" : "differs")] : "");
      })));
  }));
}

function variables(model) {
  if (!model.variables.length) return "";
  const row = ([name, dtype, shape, roles]) => el("tr", null, el("th", { scope: "row", class: "code" }, path(name)), el("td", null, dtype), el("td", null, shape), el("td", null, roles));
  const first = 25;
  const shownTable = table("Variables", ["name", "dtype", "shape", "role"], model.variables.slice(0, first).map(row));
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
    el("dl", { class: "facts" }, found.facts.map(([label, text]) => [el("dt", null, label), el("dd", null, prose(text))])),
    found.outputs.length ? [
      el("h3", null, found.bitwise_equal ? "Every output is equal, bit for bit" : "Largest difference of each output"),
      wide("Largest difference of each output", plot(found.outputs))] : "",
    more(found.more_outputs, "outputs"),
    found.judged.length ? [el("h3", null, "Largest difference from TensorFlow 1.15.5"),
      listed("Largest difference from TensorFlow 1.15.5", ["signature", "output", "absolute", "of the largest value", "beyond the bounds"], found.judged.map((o) =>
        [o[0], o[1], o[4] ? "equal" : number(o[2]).toPrecision(3), o[4] ? "equal" : number(o[3]).toPrecision(3), o[5] || "no"]))] : "",
    more(found.more_judged, "outputs"),
    found.mismatches.length ? [el("h3", null, "Differences"),
      listed("Differences", ["signature", "output", "call", "loaded as", "what differs", "code", "breaks"], found.mismatches)] : "",
    more(found.more_mismatches, "differences"),
    found.unverified.length ? [el("h3", null, "Not compared by value"),
      el("dl", { class: "facts" }, found.unverified.map(([what, why]) => [el("dt", null, path(what)), el("dd", null, prose(why))]))] : "",
    found.skipped.length ? [el("h3", null, "Signatures whose calls fail in TF1 too"),
      el("dl", { class: "facts" }, found.skipped.map(([key, why]) => [el("dt", null, path(key)), el("dd", null, prose(why))]))] : "");
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
  return card("Timings", wide("Timings", svg("svg", { class: "plot", viewBox: `0 0 860 ${steps.length * 26}`, role: "img", "aria-label": "Seconds by step: " + steps.map(([s, n]) => visible(`${s} ${n.toFixed(2)}`)).join(", ") },
    steps.map(([step, seconds], i) => svg("g", null,
      svg("text", { x: 0, y: i * 26 + 17 }, step.length > 18 ? step.slice(0, 17) + "\u2026" : step),
      // The number is left of the bar: a phone shows the left half of the drawing.
      svg("text", { x: 190, y: i * 26 + 17, class: "soft end" }, `${seconds.toFixed(2)} s`),
      svg("rect", { x: 204, y: i * 26 + 6, height: 14, rx: 2, width: Math.max(1, (seconds / most) * 640), class: "fill-accent" }))))));
}

function rewrites(model) {
  if (!model.sketches.length) return "";
  return card("What the rewrite changes",
    el("p", { class: "quiet" }, "A part of the graph of each call, before and after. Coloured nodes are changed, removed or new. Dashed edges are control edges."),
    model.sketches.map((sketch) => el("div", { class: "rewrite" },
      el("h3", null, `${sketch.run}: ${plural(sketch.changed, "node")} changed`),
      el("ul", { class: "chips", "aria-label": "Ops among the changed nodes" }, sketch.ops.map(([op, before, after]) => el("li", null, el("span", { class: "code" }, op), ` ${count(before)} \u2192 ${count(after)}`))),
      el("div", { class: "pictures" },
        el("figure", null, el("figcaption", null, "Before"), picture(sketch.before, "before", sketch.run)),
        el("figure", null, el("figcaption", null, "After"), picture(sketch.after, "after", sketch.run))))));
}

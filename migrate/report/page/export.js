// The models that are filtered, as a file and as a command.

const COLUMNS = ["model", "outcome", "verified", "kind", "tensorflow", "bytes", "seconds", "findings", "proposed_flags", "reason"];
const MOST_NAMES = 2000;

// A spreadsheet shows a cell and does not run it: one that begins like a formula gets an apostrophe.
function csvCell(value) {
  const text = typeof value === "string" && /^[=+\-@]/.test(value) ? `'${value}` : String(value ?? "");
  return /[",\n\r]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
}

function toCsv(rows) {
  const lines = rows.map((i) => {
    const [name, outcome, kind, version, bytes, codes, , seconds, verified, proposal, reason] = index.rows[i];
    return [name, outcome, verified ? "true" : "false", kind, version, bytes, seconds, codes.map((code) => index.codes[code]).join(" "), proposal < 0 ? "" : index.flags[proposal], reason];
  });
  return [COLUMNS, ...lines].map((line) => line.map(csvCell).join(",") + "\n").join("");
}

function saveCsv() {
  const url = URL.createObjectURL(new Blob([toCsv(shown)], { type: "text/csv" }));
  const link = el("a", { href: url, download: "models.csv" });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

// A word of a shell's command; undefined for a name that cannot be copied, or that a pattern would read as another one.
function shellWord(text) {
  if (/^[\w./@%+=:,-]+$/.test(text)) return text;
  return /['\\*?[\]\u2026]/.test(text) ? undefined : `'${text}'`;
}

// Does again what the report is about, for the models that are filtered. Nothing where names have no tree in common.
function offerCommand() {
  const box = byId("command-box");
  box.hidden = !index.root || !shown.length || shown.length > MOST_NAMES;
  if (box.hidden) return;
  const names = shown.map((i) => shellWord(index.rows[i][0])).filter((name) => name !== undefined);
  const proposals = new Set(shown.map((i) => index.rows[i][9]));
  const [proposal] = proposals;
  const operands = index.command === "validate" ? `${index.new_root || "NEW"} --against=${index.root}` : `${index.root} ${index.new_root || "NEW"}`;
  const parts = [`migrate ${index.command} ${operands}`];
  const all = shown.length === index.rows.length;
  if (!all || !index.whole) parts.push(...names.map((name) => `--include=${name}`));
  const flags = proposals.size === 1 && proposal >= 0 ? index.flags[proposal] : "";
  const took = shown.some((i) => index.rows[i][5].some((code) => index.taken.includes(code)));
  if (took && !flags.split(" ").includes("--take_proposals")) parts.push("--take_proposals");
  if (flags) parts.push(flags);
  byId("command").textContent = parts.join(" ");
  const left = shown.length - names.length;
  byId("command-what").textContent = `${index.audit ? "Convert" : "Retry"} ${all ? (index.whole ? "all models" : `the ${plural(names.length, "model")} of this report`) : `these ${plural(names.length, "model")}`}`;
  byId("command-note").textContent = (left ? `${plural(left, "name")} cannot be copied and ${left === 1 ? "is" : "are"} left out. ` : "") + "Add the flags of the first run, such as --config.";
}

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
    button.addEventListener("click", () => { location.hash = address(to); });
    return button;
  };
  const title = el("h1", { id: "model-title", tabindex: "-1" }, row[0] ? path(row[0]) : "(no name)");
  const article = byId("model");
  article.replaceChildren(...[
    index.rows.length > 1 ? el("div", { class: "back" }, el("a", { href: address(-1), id: "all" }, "All models"),
      el("nav", { "aria-label": "Neighbours in the table" }, step(at > 0 ? shown[at - 1] : undefined, "Previous"), step(at >= 0 ? shown[at + 1] : undefined, "Next"))) : null,
    title,
    el("p", { class: "verdict" }, el("span", { class: `dot fill-${tone(model.outcome)}`, "aria-hidden": "true" }),
      el("span", null, el("strong", null, words(model.outcome).replace(/^./, (c) => c.toUpperCase())), model.explanation ? [". ", prose(model.explanation)] : "")),
    model.tail ? el("pre", { tabindex: "0" }, model.tail) : null,
    el("p", { class: "paths" }, "Source: ", el("span", { class: "code" }, path(model.source)), model.destination ? [el("br"), "Destination: ", el("span", { class: "code" }, path(model.destination))] : ""),
    findings(model),
    commands(model),
    verification(model),
    card("The model", el("dl", { class: "facts" }, model.facts.map(([label, text]) => [el("dt", null, label), el("dd", null, prose(text))]))),
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
  const named = readAddress();
  const wanted = named < 0 && index.rows.length === 1 ? 0 : named;
  if (wanted >= 0) {
    last = wanted;
    await open(wanted);
    return;
  }
  byId("model").hidden = true;
  byId("overview").hidden = false;
  document.title = `Migration report: ${byId("headline").textContent}`;
  if (last >= 0) {
    const link = document.querySelector(`a[data-model="${last}"]`);
    if (link) link.focus();
    last = -1;
  }
}

async function start() {
  index = await unpack("index");
  index.lower = index.rows.map((row) => row[0].toLowerCase());
  addOptions();
  listen();
  await route();
  document.documentElement.dataset.ready = "true";
}
start().catch((error) => {
  const notice = byId("ignored");
  notice.hidden = false;
  notice.textContent = "This browser cannot unpack the report. Use Chrome 93, Firefox 113, Safari 16.4 or later.";
  console.error(error);
});

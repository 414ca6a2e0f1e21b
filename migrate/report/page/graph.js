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

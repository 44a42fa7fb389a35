// The page around the charts, drawn from the JSON in #data and, where it is served, drawn again from new data.

let problem = "";  // why the data is no longer new

function swatch(line) {
  return element("span", { class: "swatch", style: `background: ${color(line)}` });
}

function legend() {
  if (data.lines.length < 2) return null;
  return element("div", { class: "legend" }, ...data.lines.map((name, line) => {
    const button = element("button", { "aria-pressed": String(!hidden.has(line)), onclick: () => {
      if (!hidden.delete(line)) hidden.add(line);
      button.setAttribute("aria-pressed", String(!hidden.has(line)));
      drawAll();
    } }, swatch(line), name);
    return button;
  }));
}

function table(heads, rows) {
  return element("div", { class: "wide" }, element("table", {},
    element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", {}, head)))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map((cell) => element("td", {}, cell)))))));
}

function cell(line, text) {
  const made = element("span", {});
  if (data.lines.length > 1) made.append(swatch(line));
  made.append(text);
  return made;
}

// Final returns: a circle for every run, a bar for the interval of their mean.
function strip(score) {
  const row = 26, height = score.rows.length * row + BOTTOM, width = 380;
  const all = score.rows.flatMap((one) => one.values.concat(one.interval ? one.interval.slice(1) : []));
  let [low, high] = extent(all) || [0, 1];
  if (low === high) [low, high] = [low - 1, high + 1];
  const x = (value) => 10 + ((value - low) / (high - low)) * (width - 20);
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `final returns, ${score.mode}` });
  for (const tick of ticks(low, high, 4)) {
    svg.append(element("line", { class: "grid", x1: x(tick), x2: x(tick), y1: 0, y2: height - BOTTOM }),
      element("text", { x: x(tick), y: height - 4, "text-anchor": "middle" }, number(tick)));
  }
  score.rows.forEach((one, i) => {
    const y = i * row + row / 2, stroke = color(one.line);
    if (one.interval) {
      const [middle, from, to] = one.interval;
      svg.append(element("line", { x1: x(from), x2: x(to), y1: y, y2: y, stroke, "stroke-width": 5, opacity: 0.4 }),
        element("line", { x1: x(middle), x2: x(middle), y1: y - 8, y2: y + 8, stroke, "stroke-width": 2 }));
    }
    for (const value of one.values) svg.append(element("circle", { cx: x(value), cy: y, r: 3.5, fill: "none", stroke }));
  });
  return element("section", { class: "panel" }, element("h3", {}, `${score.mode} policy`), svg,
    table(["line", "mean [95 % interval]"], score.rows.map((one) => [cell(one.line, data.lines[one.line]), one.text])));
}

function film() {
  if (!data.film) return [];
  const { kind, source, name } = data.film;
  const made = kind === "gif" ? element("img", { src: source, alt: `film of the agent, ${name}` })
    : element("video", { src: source, controls: "", loop: "", muted: "", playsinline: "", "aria-label": name });
  return [element("h2", {}, "Film"), made];
}

function state() {
  if (problem) return problem;
  const going = data.runs.filter((run) => run.state !== "finished");
  if (!going.length) return "";
  return going.map((run) => `${run.state}, step ${run.step.toLocaleString("en")} of ${run.until.toLocaleString("en")}`)
    .slice(0, 3).join("; ");
}

function toggleTheme() {
  const root = document.documentElement;
  const dark = getComputedStyle(document.body).backgroundColor !== "rgb(255, 255, 255)";
  root.dataset.theme = dark ? "light" : "dark";
}

function render() {
  charts.splice(0, charts.length, ...data.panels.map((panel) => new Chart(panel)));
  const runs = data.runs.map((run) => [cell(run.line, run.name), String(run.seed), run.state,
    run.step.toLocaleString("en"), ...["0", "1"].map((i) => run.final[i] || "–"),
    run.seconds === null ? "–" : `${number(run.seconds)} s`]);
  const settings = data.settings.map((one) => [one.name, ...one.values, one.default]);
  const lines = data.lines.length > 1 ? data.lines.map((name, line) => cell(line, name)) : ["value"];
  document.getElementById("report").replaceChildren(...[
    element("header", {}, element("h1", {}, data.title), element("span", { class: "soft" }, data.subtitle),
      element("span", { class: "soft", id: "state", role: "status" }, state()),
      element("span", { class: "tools" }, element("button", { id: "all", hidden: "", onclick: () => zoom(null) }, "All steps"),
        element("button", { id: "theme", onclick: toggleTheme }, "Dark / light"))),
    element("p", { class: "soft" }, `${data.caption} Hover or tap to read values, drag to zoom, double-click for all steps.`.trim()),
    legend(),
    charts.length ? null : element("p", {}, "No rows yet."),
    element("div", { class: data.lines.length > 1 ? "panels several" : "panels" }, ...charts.map((chart) => chart.box)),
    ...(data.scores.length ? [element("h2", {}, "Final returns"),
      element("div", { class: "panels" }, ...data.scores.map(strip))] : []),
    ...film(),
    element("h2", {}, "Runs"),
    table(["run", "seed", "state", "steps", "deterministic", "stochastic", "training time"], runs),
    data.note ? element("p", { class: "soft" }, data.note) : null,
    element("h2", {}, "Settings that differ from the defaults"),
    settings.length ? table(["setting", ...lines, "default"], settings) : element("p", {}, "None."),
    element("h2", {}, "Versions"),
    table(["package", "version"], Object.entries(data.versions)),
  ].filter((part) => part !== null));
  drawAll();
}

async function refresh() {
  try {
    const answer = await fetch("data", { cache: "no-store" });
    if (!answer.ok) throw new Error(await answer.text());
    const text = await answer.text();
    problem = "";
    if (text === refresh.last) return;
    refresh.last = text;
    const open = new Set(charts.filter((chart) => chart.box.querySelector("details[open]")).map((c) => c.panel.metric));
    data = JSON.parse(text);
    render();
    charts.filter((chart) => open.has(chart.panel.metric)).forEach((c) => { c.box.querySelector("details").open = true; });
  } catch (error) {
    problem = `no longer live: ${error.message}`;
    document.getElementById("state").textContent = state();
  }
}

render();
let width = document.body.clientWidth;
addEventListener("resize", () => {
  if (document.body.clientWidth === width) return;  // a phone hides its address bar
  width = document.body.clientWidth;
  drawAll();
});
const seconds = Number(document.body.dataset.refresh);
if (seconds) setInterval(refresh, 1000 * seconds);

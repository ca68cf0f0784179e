// Asks Prometheus for what each panel of the page shows, and draws it; again every ten seconds while the page is seen.
"use strict";

const EVERY = 10_000; // milliseconds
const POINTS = 120; // a line: one every 5 s over 10 minutes, as often as the services report here
const COLOURS = ["#0a5a80", "#c2571a", "#2e7d4f", "#8e4aa8", "#b8901c", "#3d9fc4", "#b03a5b", "#6b7a2a", "#5b6bd0", "#7d5a44", "#159a8c", "#8a97a3"];
const STEPS = {
  s: [[1e-6, "µs"], [1e-3, "ms"], [1, "s"], [60, "min"], [3600, "h"], [86_400, "d"]],
  bytes: [[1, "B"], [2 ** 10, "KiB"], [2 ** 20, "MiB"], [2 ** 30, "GiB"]],
};
const number = new Intl.NumberFormat("en-GB", { notation: "compact", maximumSignificantDigits: 3 });
const percent = new Intl.NumberFormat("en-GB", { style: "percent", maximumSignificantDigits: 3 });
const charts = new Map(); // of the panels that have one

/** A value in words, by Grafana's name of its unit. */
function say(value, unit) {
  if (value === null || Number.isNaN(value)) return "–";
  if (unit === "percentunit") return percent.format(value);
  if (unit in STEPS) {
    const size = Math.abs(value);
    const [step, name] = STEPS[unit].findLast(([least]) => size >= least) ?? STEPS[unit].find(([least]) => least === 1);
    return `${number.format(value / step)} ${name}`;
  }
  return number.format(value) + ({ short: "", reqps: " req/s" }[unit] ?? ` ${unit}`);
}

async function ask(path, parameters) {
  const response = await fetch(`../api/v1/${path}?${new URLSearchParams(parameters)}`).catch(() => {
    throw new Error("Prometheus does not answer. Is `make local-dashboards` still running?");
  });
  const answer = await response.json();
  if (answer.status !== "success") throw new Error(answer.error);
  return answer.data;
}

/** A new element with `text`. */
function made(name, text = "", attributes = {}) {
  return Object.assign(document.createElement(name), { textContent: text, ...attributes });
}

const named = (legend, labels) => legend.replace(/{{\s*(\w+)\s*}}/g, (_, label) => labels[label] ?? "").trim();

// ------------------------------------------------------------------ panels

async function figure(panel, { queries, unit, steps }) {
  const { result } = await ask("query", { query: queries[0].expr });
  const value = result.length ? Number(result[0].value[1]) : NaN;
  const reached = steps.findLast((step) => step.value === null || value >= step.value);
  const drawn = made("div", say(value, unit), { className: `figure ${reached?.color ?? ""}` });
  panel.querySelector(".drawn").replaceChildren(drawn);
  panel.classList.toggle("without", Number.isNaN(value));
}

/** Every line by its name: its values by time, in seconds. */
async function series(queries, { start, end, step }) {
  const found = new Map();
  const answers = await Promise.all(queries.map(({ expr }) => ask("query_range", { query: expr, start, end, step })));
  answers.forEach(({ result }, index) => {
    for (const { metric, values } of result) {
      const line = new Map(values.map(([time, value]) => [time, Number(value)]).filter(([, value]) => Number.isFinite(value)));
      if (line.size) found.set(named(queries[index].legend, metric), line);
    }
  });
  return new Map([...found].sort(([one], [other]) => one.localeCompare(other, "en", { numeric: true })));
}

async function lines(panel, { queries, unit, bars }, span) {
  const found = await series(queries, span);
  panel.classList.toggle("without", !found.size);
  if (!found.size) return;
  const values = [...found.values()];
  const rows = [];
  for (let time = span.start; time <= span.end; time += span.step) {
    rows.push([new Date(time * 1000), ...values.map((line) => line.get(time) ?? null)]);
  }
  const shown = { labels: ["time", ...found.keys()], dateWindow: [span.start * 1000, span.end * 1000] };
  if (!charts.has(panel)) charts.set(panel, chart(panel, rows, shown, unit, bars));
  else charts.get(panel).updateOptions({ file: rows, ...shown });
  keys(panel, found, unit);
}

function chart(panel, rows, shown, unit, bars) {
  const box = made("div", "", { className: "chart" });
  panel.querySelector(".drawn").replaceChildren(box, made("div", "", { className: "keys" }));
  const under = (points) => {
    for (const cell of panel.querySelectorAll("td[data-last]")) {
      const point = points.find(({ name }) => name === cell.dataset.name);
      cell.textContent = points.length ? say(point?.yval ?? null, unit) : cell.dataset.last;
    }
  };
  return new Dygraph(box, rows, {
    ...shown,
    colors: COLOURS,
    legend: "never",
    strokeWidth: 1.5,
    stepPlot: bars,
    fillGraph: bars,
    fillAlpha: 0.25,
    includeZero: true,
    gridLineColor: "#e4eaef",
    axisLineColor: "#b9c5cf",
    axes: { y: { axisLabelFormatter: (value) => say(value, unit), axisLabelWidth: 58, pixelsPerLabel: 28 }, x: { drawGrid: false } },
    highlightCallback: (_event, _x, points) => under(points),
    unhighlightCallback: () => under([]),
  });
}

/** What the lines are called, the highest first, with the last value of each; under the pointer, the value there. */
function keys(panel, found, unit) {
  const table = made("table");
  const head = table.createTHead().insertRow();
  head.append(made("th"), made("th", "last"), made("th", "max"));
  const body = table.createTBody();
  const told = [...found].map(([name, line], index) => {
    const values = [...line.values()];
    return { name, colour: COLOURS[index % COLOURS.length], last: say(values.at(-1), unit), max: Math.max(...values) };
  });
  for (const { name, colour, last, max } of told.sort((one, other) => other.max - one.max)) {
    const row = body.insertRow();
    const swatch = made("i");
    swatch.style.background = colour;
    row.insertCell().append(swatch, name);
    const cell = row.insertCell();
    cell.textContent = last;
    Object.assign(cell.dataset, { name, last });
    row.insertCell().textContent = say(max, unit);
  }
  panel.querySelector(".keys").replaceChildren(table);
}

// ------------------------------------------------------------------ alerts

async function alerts() {
  const { groups } = await ask("rules", { type: "alert" });
  const rules = groups.flatMap((group) => group.rules);
  const firing = rules.filter(({ state }) => state === "firing");
  const said = made("ul");
  for (const { alerts } of firing) said.append(...alerts.map(({ annotations }) => made("li", annotations.summary)));
  const chips = rules.map(({ name, state, query, annotations }) =>
    made("a", name, { className: state, title: `${state}: ${query}`, href: annotations.runbook_url }));
  const word = firing.length ? `${firing.length} of ${rules.length} alerts ${firing.length > 1 ? "fire" : "fires"}` : `${rules.length} alerts, none fires`;
  document.getElementById("alerts").replaceChildren(made("span", word, { className: "soft" }), ...chips, ...(firing.length ? [said] : []));
}

// ------------------------------------------------------------------ the page

async function draw() {
  const seconds = Number(document.getElementById("range").value);
  const step = seconds / POINTS;
  const end = Math.floor(Date.now() / 1000 / step) * step;
  const span = { start: end - seconds, end, step };
  const trouble = document.getElementById("trouble");
  try {
    const panels = [...document.querySelectorAll(".panel")].map((panel) => {
      const wanted = JSON.parse(panel.dataset.panel);
      return panel.classList.contains("stat") ? figure(panel, wanted) : lines(panel, wanted, span);
    });
    await Promise.all([alerts(), ...panels]);
    trouble.hidden = true;
  } catch (error) {
    console.error(error);
    trouble.textContent = error.message;
    trouble.hidden = false;
  }
  document.body.dataset.drawn = Date.now();
}

async function again() {
  if (!document.hidden) await draw();
  setTimeout(again, EVERY);
}

document.getElementById("range").addEventListener("change", draw);
document.addEventListener("visibilitychange", () => document.hidden || draw());
again();

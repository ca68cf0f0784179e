// What the pages do beyond plain HTML: live lists, sentence tools, and keeping what was typed. They work without it.
"use strict";

const live = document.body.dataset.live;
const sign = document.getElementById("sign");

if (live) {
  const of = document.body.dataset.case;
  const events = new EventSource(of ? `/events?case=${of}` : "/events");
  events.addEventListener("changed", (event) => {
    if (live === "rows") refresh();
    else if (event.data !== document.body.dataset.head) seeAgain();
  });
  events.addEventListener("signed-out", () => location.reload());
}

async function refresh() {
  const url = new URL(location.href);
  url.searchParams.set("rows", "1");
  const answer = await fetch(url, { headers: { "Countersign-Background": "1" } }); // nobody uses the session by it
  if (answer.redirected || !answer.ok) return location.reload(); // signed out meanwhile
  const held = document.activeElement?.getAttribute("href");
  const rows = document.getElementById("rows");
  rows.innerHTML = await answer.text();
  if (held) [...rows.querySelectorAll("a")].find((link) => link.getAttribute("href") === held)?.focus();
}

async function seeAgain() {
  if (sign) await keep(); // the server has what was typed before the page goes
  const fields = [...document.querySelectorAll("#reason, #why, #rating-words")];
  const words = fields.some((field) => field.value !== field.defaultValue);
  if (!words) return location.replace(location.pathname); // of a decided case the server shows the document
  const note = document.createElement("p"); // words that nobody keeps are not thrown away
  note.className = "note";
  note.setAttribute("role", "alert");
  note.append("The case has changed. ", Object.assign(document.createElement("a"), { href: location.pathname, textContent: "Show it" }));
  document.getElementById("main").prepend(note);
}

for (const to of document.querySelectorAll("[list=people]")) {
  to.addEventListener("input", async () => {
    const words = to.value.trim();
    if (words.length < 2) return;
    const answer = await fetch(`/people?q=${encodeURIComponent(words)}`);
    if (answer.ok && words === to.value.trim()) document.getElementById("people").innerHTML = await answer.text();
  });
}

// The document that will be signed is the text area. Everything else changes it, and shows what became of it.
let pending = 0; // the timer that will keep it
let sending = 0; // requests that keep it and are not answered
let keeping = Promise.resolve();

function later() {
  clearTimeout(pending);
  pending = setTimeout(keep, 500);
}

function keep() {
  clearTimeout(pending);
  pending = 0;
  sending += 1;
  keeping = keeping.then(send).finally(() => (sending -= 1));
  return keeping;
}

async function send() {
  const status = document.querySelector("#changes [role=status]");
  try {
    const answer = await fetch(sign.dataset.keep, { method: "POST", body: new FormData(sign) });
    if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
    showChanges(await answer.text());
    mark();
    sayWho();
    return true;
  } catch {
    status.textContent = "Not saved: the server does not answer. It is tried again.";
    status.className = "warn";
    pending = setTimeout(keep, 3000);
    return false;
  }
}

// The answer is to what was sent: what was ticked since stays ticked, and the keyboard stays where it is.
function showChanges(html) {
  const boxes = () => [...document.querySelectorAll("#changes [name=written]")];
  const ticked = new Map(boxes().map((box) => [box.value, box.checked]));
  const focused = boxes().find((box) => box === document.activeElement)?.value;
  document.getElementById("changes").outerHTML = html;
  for (const box of boxes()) {
    box.checked = ticked.get(box.value) ?? box.checked;
    if (box.value === focused) box.focus({ preventScroll: true });
  }
}

function mark() {
  const found = document.getElementById("changes").dataset;
  const waiting = found.unresolved ? found.unresolved.split(" ") : [];
  const unseen = found.unacknowledged ? found.unacknowledged.split(" ") : [];
  const own = found.unconfirmed ? found.unconfirmed.split(" ") : [];
  const gone = found.gone ? found.gone.split(" ") : [];
  for (const box of document.querySelectorAll(".sentence")) {
    const number = box.dataset.number;
    box.classList.toggle("gone", gone.includes(number));
    box.classList.toggle("settled", box.classList.contains("unsupported") && !waiting.includes(number));
  }
  for (const point of document.querySelectorAll(".point")) point.classList.toggle("settled", !unseen.includes(point.dataset.number));
  const open = Array(Number(found.places)).fill("text"); // what is still to be written
  const places = [...unseen.map((number) => `p${number}`), ...waiting.map((number) => `s${number}`), ...own.map((digest) => `w${digest}`), ...open];
  const words = places.length === 1 ? "1 needs your decision" : `${places.length} need your decision`;
  const next = document.getElementById("open-ends");
  next.textContent = places.length ? words : "";
  next.href = `#${places[0]}`;
  next.hidden = !places.length;
  return places;
}

// The line that says who wrote the narrative follows what is in the text; whoever signs sees it there.
function sayWho() {
  const { line, lineNow } = document.getElementById("changes").dataset;
  const text = document.getElementById("text");
  const at = line ? text.value.indexOf(line) : -1;
  if (at < 0) return;
  text.setRangeText(lineNow, at, at + line.length, "preserve");
  later();
}

// What is still to be written is selected, so that typing takes its place.
function toBeWritten(text) {
  const found = /\[To be written by the physician[^\]]*\]/.exec(text.value);
  if (found) text.setSelectionRange(found.index, found.index + found[0].length);
}

// Whoever goes from sentence to sentence by keyboard sees the evidence on the way.
for (const summary of document.querySelectorAll(".sentence summary")) {
  summary.addEventListener("focus", () => {
    if (summary.matches(":focus-visible")) summary.parentElement.open = true;
  });
}

// How much of the draft was in front of somebody: figures for the trail.
function reading() {
  const seconds = sign.querySelector("[name=seconds]");
  setInterval(() => {
    if (document.visibilityState === "visible" && document.hasFocus()) seconds.value = Number(seconds.value) + 1;
  }, 1000);
  const views = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      views.unobserve(target);
      const value = target.closest("[data-part]").dataset.part;
      if (sign.querySelector(`[name=seen][value="${value}"]`)) continue;
      sign.append(Object.assign(document.createElement("input"), { type: "hidden", name: "seen", value }));
    }
  });
  for (const title of document.querySelectorAll("[data-part] > h2")) views.observe(title);
}

if (sign) {
  reading();
  const text = document.getElementById("text");
  for (const box of document.querySelectorAll(".sentence")) tools(box, text);
  text.addEventListener("input", later);
  document.addEventListener("change", ({ target }) => ["confirmed", "acknowledged", "written"].includes(target.name) && keep());
  sign.addEventListener("submit", async (event) => {
    if (pending || sending) {
      event.preventDefault(); // what is open is known when the last change has been compared with the record
      if (!(await (pending ? keep() : keeping))) return; // the status says so
      if (mark().length === 0) return sign.submit();
    }
    const [first] = mark();
    if (first === undefined) return;
    event.preventDefault();
    const box = document.getElementById(first);
    box.scrollIntoView({ block: "center" });
    (box.querySelector("summary, input") ?? box).focus();
    if (box === text) toBeWritten(text);
  });
  document.querySelector("[data-look]")?.remove(); // it is kept and checked as one types
  document.getElementById("open-ends").addEventListener("click", ({ currentTarget }) => currentTarget.hash === "#text" && toBeWritten(text));
  text.addEventListener("focus", () => text.selectionEnd === 0 && toBeWritten(text));
  addEventListener("beforeunload", (event) => pending && event.preventDefault());
  mark();
  sayWho();
}

function tools(box, text) {
  let now = box.querySelector(".said").textContent;
  let field = null;
  const change = box.querySelector("[data-act=change]");
  const remove = box.querySelector("[data-act=remove]");
  // A sentence that was changed or removed in the document itself is to be edited there: to write here would change nothing.
  const check = () => {
    const there = text.value.includes(now);
    change.hidden = !there || field !== null;
    remove.hidden = !there;
    if (field) field.disabled = !there;
    box.querySelector(".elsewhere").hidden = there;
  };
  const put = (words) => {
    text.value = text.value.replace(now, () => words);
    now = words;
    later();
  };
  remove.addEventListener("click", () => {
    const space = text.value.includes(now + " ") ? now + " " : text.value.includes(" " + now) ? " " + now : now;
    text.value = text.value.replace(space, () => "");
    check();
    keep();
  });
  change.addEventListener("click", () => {
    field = document.createElement("textarea");
    field.value = now;
    field.setAttribute("aria-label", "Change the sentence");
    field.addEventListener("input", () => field.value.trim() && put(field.value));
    box.querySelector(".acts").before(field);
    check();
    field.focus();
  });
  text.addEventListener("input", check);
  check();
}

// The list of a department: one box selects every review that is listed.
const all = document.getElementById("select-all");
if (all) {
  all.hidden = false;
  all.addEventListener("change", (event) => {
    for (const box of document.querySelectorAll(".selectable [name=case]")) box.checked = event.target.checked;
  });
}

// While a refresh runs, its progress is read again; the page is loaded again at its end. The page works without.
"use strict";
const INTERVAL_MS = 3000;
const MAX_IDLE = 3; // answers without a refresh after one was requested
let idle = 0;
async function follow() {
  const answer = await fetch("/knowledge/progress", { headers: { "countersign-background": "true" } }).catch(() => null);
  if (answer && answer.ok && !answer.redirected) {
    const shown = document.getElementById("progress");
    const found = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("progress");
    const running = "running" in found.dataset;
    if (!running && ("running" in shown.dataset || ++idle >= MAX_IDLE)) return location.replace("/knowledge");
    if (running) { // the element stays: it is announced when its content changes
      shown.dataset.running = "";
      shown.replaceChildren(...found.childNodes);
    }
  }
  setTimeout(follow, INTERVAL_MS);
}
const progress = document.getElementById("progress");
if (progress && ("running" in progress.dataset || "requested" in progress.dataset)) setTimeout(follow, INTERVAL_MS);

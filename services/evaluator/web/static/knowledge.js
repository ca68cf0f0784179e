// While a refresh runs, its progress is read again every five seconds; the page works without.
"use strict";
const progress = document.getElementById("progress");
async function follow() {
  const answer = await fetch(location.pathname, { headers: { "countersign-background": "true" } }).catch(() => null);
  if (answer && answer.ok && !answer.redirected) {
    const found = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("progress");
    if (found && !("running" in found.dataset)) return location.replace(location.pathname);
    if (found && found.innerHTML !== progress.innerHTML) progress.innerHTML = found.innerHTML;
  }
  setTimeout(follow, 5000);
}
if (progress && "running" in progress.dataset) setTimeout(follow, 5000);

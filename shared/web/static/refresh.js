// Renews the element with `data-refresh="SECONDS"` from its own page, until the page has none any more.
"use strict";

const renew = async () => {
  const shown = document.querySelector("[data-refresh]");
  if (!shown) return;
  if (!document.hidden) {
    try {
      const answer = await fetch(location.href, { headers: { "countersign-background": "true" } });
      const page = answer.ok && !answer.redirected ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
      const next = page?.getElementById(shown.id);
      // What a person is about to use stays: the keyboard's focus, or an open list.
      if (next && !shown.contains(document.activeElement)) shown.replaceWith(next);
    } catch { /* the network is away: the next round tries again */ }
  }
  setTimeout(renew, Number(shown.dataset.refresh) * 1000);
};

setTimeout(renew, Number(document.querySelector("[data-refresh]")?.dataset.refresh ?? 0) * 1000);

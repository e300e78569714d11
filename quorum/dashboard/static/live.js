"use strict";
// New events: said at once, then the part of the page that changed is exchanged.
(() => {
  const body = document.body;
  const part = document.getElementById("part");
  const said = document.getElementById("said");
  let waiting = null, again = false;

  function linked(state, text) {
    const link = document.getElementById("link");
    if (link) { link.dataset.link = state; link.textContent = text; }
  }

  // Sections are exchanged one by one: what is the same keeps its charts, its focus, its open parts.
  function exchange(html) {
    const fresh = new DOMParser().parseFromString(html, "text/html").body;
    const open = new Set([...part.querySelectorAll("details[open]")].map((d) => d.closest("[aria-label]")?.getAttribute("aria-label")));
    const typing = part.contains(document.activeElement) && document.activeElement.matches("input, textarea");
    if (typing) return;
    for (const now of [...fresh.children]) {
      const before = now.id ? part.querySelector(`:scope > #${CSS.escape(now.id)}`) : null;
      if (!before) continue;
      if (before.dataset.text === now.outerHTML) continue;
      const text = now.outerHTML;
      before.replaceWith(now);
      now.dataset.text = text;
    }
    for (const d of part.querySelectorAll("details")) if (open.has(d.closest("[aria-label]")?.getAttribute("aria-label"))) d.open = true;
    quorumCharts.forget((box) => document.contains(box));
    quorumCharts.draw(part);
  }

  async function refresh() {
    // The report's charts are of all that was traded: they wait until the page is opened anew.
    if (part.querySelector(".plot")) return;
    if (waiting) { again = true; return; }
    waiting = fetch(location.href, { headers: { "X-Quorum-Part": "1" }, redirect: "manual" });
    try {
      const answer = await waiting;
      if (answer.type === "opaqueredirect") { location.reload(); return; }
      if (answer.ok) exchange(await answer.text());
      linked("yes", "live");
    } catch { linked("no", "no answer"); } finally {
      waiting = null;
      if (again) { again = false; refresh(); }
    }
  }

  function listen() {
    const stream = new EventSource("/api/v1/events");
    const seen = new Set();
    stream.onopen = () => linked("yes", "live");
    stream.onerror = () => linked("no", "no answer");
    const take = (event) => {
      if (seen.has(event.lastEventId)) return;
      seen.add(event.lastEventId);
      const told = JSON.parse(event.data);
      said.textContent = `${told.pair} ${told.text}`.replaceAll("_", " ").trim();
      body.dataset.event = event.lastEventId;
      refresh();
    };
    for (const kind of ["candle", "answer", "trade", "guards", "fault"]) stream.addEventListener(kind, take);
    stream.addEventListener("reset", refresh);
    addEventListener("pagehide", () => stream.close());
  }

  quorumCharts.draw();
  quorum.start();
  if (body.dataset.live === "yes") listen();
})();

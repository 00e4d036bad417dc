// Comfort only: the page is complete without it. Sorts tables, shows hints at once, opens what is
// folded up before printing.
"use strict";
(() => {
  const value = (row, index) => {
    const cell = row.cells[index];
    const text = cell.dataset.v ?? cell.textContent.trim();
    const number = Number(text);
    return text !== "" && Number.isFinite(number) ? number : text === "-" ? "" : text;
  };
  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    if (typeof a === "number") return -1;
    if (typeof b === "number") return 1;
    return a.localeCompare(b, "en", { numeric: true });
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(head.firstChild); // the name; a unit stays behind it
      head.prepend(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...table.tBodies[0].rows].map((row) => [value(row, index), row]);
        const empty = rows.filter(([found]) => found === "");
        const known = rows.filter(([found]) => found !== "");
        known.sort((a, b) => (down ? -1 : 1) * compare(a[0], b[0]));
        table.tBodies[0].append(...[...known, ...empty].map(([, row]) => row));
      });
    });
  }

  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);
  let shown = null; // the mark that is pointed at; its <title> is empty meanwhile, so that the
  const hide = () => { // browser does not show it a second time
    if (shown) shown.querySelector("title").textContent = tip.textContent;
    shown = null;
    tip.hidden = true;
  };
  document.addEventListener("pointerover", (event) => {
    const mark = event.target.closest ? event.target.closest("g.hint") : null;
    if (mark === shown) return;
    hide();
    if (!mark) return;
    shown = mark;
    const title = mark.querySelector("title");
    tip.textContent = title.textContent;
    title.textContent = "";
    tip.hidden = false;
  });
  document.addEventListener("pointermove", (event) => {
    if (!shown) return;
    const box = tip.getBoundingClientRect();
    const x = Math.min(event.clientX + 14, window.innerWidth - box.width - 8);
    const y = event.clientY - box.height - 12;
    tip.style.left = `${Math.max(x, 4)}px`;
    tip.style.top = `${y < 4 ? event.clientY + 18 : y}px`;
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });

  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((part) => { part.open = true; });
  });
  window.addEventListener("afterprint", () => folded.forEach((part) => { part.open = false; }));
})();

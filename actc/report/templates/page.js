"use strict";
(() => {
  const times = window.actcTimings;
  if (times && Object.keys(times).length) {
    const rows = Object.entries(times);
    const total = rows.reduce((sum, [, seconds]) => sum + seconds, 0);
    const most = Math.max(...rows.map(([, seconds]) => seconds)) || 1;
    const table = document.getElementById("times");
    const add = (name, seconds, share) => {
      const row = table.tBodies[0].insertRow();
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = name;
      row.append(head);
      const value = row.insertCell();
      value.className = "n";
      value.textContent = seconds.toFixed(2);
      const bar = row.insertCell();
      bar.className = "bar";
      if (share !== null) {
        const fill = document.createElement("i");
        fill.style.width = `${share}%`;
        bar.append(fill);
      }
    };
    for (const [name, seconds] of rows) add(name, seconds, (100 * seconds) / most);
    add("total", total, null);
    table.hidden = false;
    document.getElementById("no-times").hidden = true;
  }

  const value = (cell) => {
    const text = cell.dataset.value ?? cell.textContent.trim().replace("\u2212", "-");
    return text === "" || Number.isNaN(Number(text)) ? text : Number(text);
  };
  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    if (typeof a === typeof b) return String(a).localeCompare(String(b), "en", { numeric: true });
    return typeof a === "number" ? -1 : 1;
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, index) => {
      if (head.textContent === "Shape") return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") === "descending" ||
          (!head.hasAttribute("aria-sort") && !head.classList.contains("n"));
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const body = table.tBodies[0];
        const rows = [...body.rows].map((row) => [value(row.cells[index]), row]);
        rows.sort((a, b) => (up ? 1 : -1) * compare(a[0], b[0]));
        body.append(...rows.map(([, row]) => row));
      });
    });
  }

  const cards = [...document.querySelectorAll("details.card")];
  const unfold = document.getElementById("unfold");
  if (unfold) {
    const all = () => cards.every((card) => card.open);
    const name = () => { unfold.textContent = all() ? "Close all" : "Open all"; };
    unfold.hidden = false;
    unfold.addEventListener("click", () => {
      const open = !all();
      cards.forEach((card) => { card.open = open; });
    });
    cards.forEach((card) => card.addEventListener("toggle", name));
    name();
  }
  const reveal = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    const card = target && target.closest("details");
    if (card && !card.open) {
      card.open = true;
      card.scrollIntoView();
    }
  };
  window.addEventListener("hashchange", reveal);
  window.addEventListener("beforeprint", () => cards.forEach((card) => { card.open = true; }));
  reveal();
})();

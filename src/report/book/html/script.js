"use strict";
(() => {
  const get = id => document.getElementById(id);
  // What a link leads to is opened.
  const reveal = () => {
    const target = get(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    target.querySelector(":scope > details.seen")?.setAttribute("open", "");
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  addEventListener("beforeprint", () => {
    for (const one of document.querySelectorAll(":target details")) one.open = true;
  });

  const ids = ["theme", "a", "b", "text", "changed"];
  const found = get("found");
  const rows = [...document.querySelectorAll(".matrix tbody tr")];
  const column = (name, index) => name === "" || index === Number(name);
  const filter = () => {
    const [theme, a, b, text] = ids.map(id => get(id).value);
    const only = get("changed").checked;
    let shown = 0;
    for (const row of rows) {
      const seen = row.dataset.v;
      const pair = a !== "" && b !== "";
      // What was not run is no change.
      const differ = pair && seen[a] !== seen[b] && seen[a] !== "-" && seen[b] !== "-";
      const changed = pair ? differ : row.classList.contains("changed");
      const name = row.firstElementChild.textContent;
      row.hidden = theme !== "" && row.dataset.theme !== theme || only && !changed
        || found?.checked && !row.classList.contains("found")
        || !name.includes(text.trim());
      if (!row.hidden) shown += 1;
    }
    // Of a pair only its two columns are shown.
    const chosen = [a, b].filter(one => one !== "");
    for (const row of document.querySelectorAll(".matrix tr")) {
      [...row.children].slice(1).forEach((cell, index) => {
        cell.hidden = chosen.length > 0 && !chosen.some(one => column(one, index));
      });
    }
    get("shown").textContent = `${shown} of ${rows.length} rows`;
  };
  // A link can ask for a selection: ?theme=recv&a=0&b=8&changed=1
  const asked = new URLSearchParams(location.search);
  for (const id of ids) {
    const field = get(id);
    if (asked.has(id)) {
      if (id === "changed") field.checked = asked.get(id) !== "0"; else field.value = asked.get(id);
    }
    field.addEventListener("input", filter);
  }
  found?.addEventListener("input", filter);
  get("filters").hidden = false;
  get("filters").addEventListener("submit", event => event.preventDefault());
  filter();
  reveal();
})();

// Finds and orders the symbols; without it the page is the same, only longer.
const controls = document.getElementById("controls");
if (controls) {
  const find = document.getElementById("find");
  const only = document.getElementById("only");
  const worst = document.getElementById("worst");
  const told = controls.querySelector("output");
  const lists = [document.querySelector(".matrix tbody"), document.getElementById("symbols")];

  const before = (a, b) =>
    (worst.checked && b.dataset.lacking - a.dataset.lacking) || a.dataset.order - b.dataset.order;

  const show = () => {
    const wanted = find.value.trim().toUpperCase();
    let shown = 0;
    for (const list of lists) {
      const items = [...list.children].sort(before);
      shown = 0;
      for (const item of items) {
        item.hidden =
          !item.dataset.symbol.toUpperCase().includes(wanted) || (only.checked && item.dataset.lacking === "0");
        shown += item.hidden ? 0 : 1;
      }
      list.append(...items);
    }
    told.textContent = wanted || only.checked ? `${shown} shown` : "";
  };

  controls.addEventListener("input", show);
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.hidden = false;
  show(); // a reload may keep what was typed
}

// The calendar a link leads to may be folded.
const open = () => document.querySelector(`${location.hash || "#none"} details`)?.setAttribute("open", "");
addEventListener("hashchange", open);
open();

// The console's small comforts. Every page works without them.

const root = document.documentElement;
const typing = (target) => target.closest("input, select, textarea, [contenteditable]") !== null;
const plain = (event) => !event.metaKey && !event.ctrlKey && !event.altKey && !typing(event.target);

// Light or dark: kept in a cookie, so that the next page arrives in it.
const themeSwitch = document.querySelector("[data-theme-switch]");
if (themeSwitch) {
  themeSwitch.hidden = false;
  themeSwitch.addEventListener("click", () => {
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax`;
  });
}

// Panel: J and K move, Enter opens (the row is a link), / finds, S shows the steady ones.
const steady = document.querySelector("details.steady");
const find = document.getElementById("find");
const rows = () => [...document.querySelectorAll(".person")].filter((row) => row.offsetParent !== null);

function step(by) {
  const all = rows();
  if (all.length === 0) {
    // On a patient's page the same keys turn to the neighbours of the panel.
    document.querySelector(`a[rel="${by > 0 ? "next" : "prev"}"]`)?.click();
    return;
  }
  const at = all.indexOf(document.activeElement);
  const next = at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, at + by));
  all[next].focus();
}

document.addEventListener("keydown", (event) => {
  if (!plain(event)) return;
  if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
  else if (event.key === "s" && steady) steady.open = !steady.open;
  else if (event.key === "/" && find) {
    event.preventDefault();
    find.focus();
    find.select();
  }
});

// Trend: the line under the pointer reads the day's words from the table, so both always agree.
const picture = document.getElementById("picture");
const readout = document.getElementById("readout");
const numbers = document.getElementById("numbers");

if (picture && readout && numbers) {
  const heads = [...numbers.tHead.rows[0].cells].slice(1).map((cell) => cell.textContent);
  const days = [...numbers.tBodies[0].rows].reverse();
  const hint = [...readout.childNodes];
  const quiet = new Set(["", "–"]);
  let at = days.length - 1;

  readout.hidden = false;
  readout.setAttribute("role", "status");
  picture.tabIndex = 0;
  picture.setAttribute("role", "group");
  picture.setAttribute("aria-label", "Trend chart. The arrow keys move by a day, Home and End to either end.");

  const drawings = [...picture.querySelectorAll(".chart")].map((svg) => ({
    svg,
    cross: svg.querySelector(".c-cross"),
    left: Number(svg.dataset.x0),
    pitch: (Number(svg.dataset.x1) - Number(svg.dataset.x0)) / days.length,
  }));

  function read(position) {
    at = Math.max(0, Math.min(days.length - 1, position));
    for (const { cross, left, pitch } of drawings) {
      cross.removeAttribute("hidden");
      cross.setAttribute("transform", `translate(${(left + (at + 0.5) * pitch).toFixed(1)} 0)`);
    }
    const [day, ...values] = [...days[at].cells].map((cell) => cell.textContent);
    const said = values.map((value, n) => [heads[n].toLowerCase(), value]).filter(([, value]) => !quiet.has(value));
    const name = document.createElement("b");
    name.textContent = day;
    readout.replaceChildren(name, "  " + said.map(([head, value]) => `${head} ${value}`).join(" · "));
  }

  function leave() {
    for (const { cross } of drawings) cross.setAttribute("hidden", "");
    readout.replaceChildren(...hint);
  }

  for (const { svg, left, pitch } of drawings) {
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const x = ((event.clientX - box.left) * svg.viewBox.baseVal.width) / box.width;
      read(Math.floor((x - left) / pitch));
    });
    svg.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse") leave();
    });
  }

  picture.addEventListener("keydown", (event) => {
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: days.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    read(to);
  });
  picture.addEventListener("blur", leave);
}

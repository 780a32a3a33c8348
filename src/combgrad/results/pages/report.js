"use strict";
const form = document.getElementById("filter");
const items = [...document.querySelectorAll("[data-experiments]")];
const cells = [...document.querySelectorAll("td.cell")];

const chosen = (name) => form.elements[name].value;

function fits(item) {
  const experiment = chosen("experiment");
  if (experiment && !item.dataset.experiments.split(" ").includes(experiment)) return false;
  // What was not run has neither profile nor data.
  return ["profile", "source"].every((name) => {
    const has = item.dataset[name];
    return !chosen(name) || has === undefined || has === chosen(name);
  });
}

function filter() {
  for (const item of items) item.hidden = !fits(item);
  const wanted = chosen("experiment");
  for (const cell of cells) {
    const point = cell.dataset.point.split(" ");
    cell.classList.toggle("faded", wanted !== "" && !point.includes(`experiment=${wanted}`));
  }
  for (const list of document.querySelectorAll("section.list")) {
    const nothing = list.querySelector(".nothing");
    const all = [...list.querySelectorAll("[data-experiments]")];
    if (nothing) nothing.hidden = all.some((item) => !item.hidden);
  }
  const runs = [...document.querySelectorAll("details.run")];
  const shown = runs.filter((run) => !run.closest("[hidden]"));
  document.getElementById("shown").textContent = `${shown.length} of ${runs.length} runs shown`;
}

function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  // A link must lead somewhere, so it is stronger than the filter.
  if (target.closest("[hidden]")) {
    form.reset();
    filter();
  }
  const inside = target.querySelectorAll("details.run");
  if (inside.length === 1) inside[0].open = true;
  for (let box = target.closest("details"); box; box = box.parentElement.closest("details")) {
    box.open = true;
  }
  target.focus({ preventScroll: true });
  target.scrollIntoView();
}

async function copy(button) {
  const command = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(command.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(command);
    button.textContent = "Selected: press Ctrl+C";
  }
  setTimeout(() => (button.textContent = "Copy"), 2500);
}

form.hidden = false;
form.addEventListener("change", filter);
// The fields are empty only after the event.
form.addEventListener("reset", () => setTimeout(filter));
addEventListener("hashchange", reveal);
// Browsers put back what was chosen before a reload.
addEventListener("pageshow", () => {
  filter();
  reveal();
});
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#']");
  if (link && link.hash === location.hash) reveal();
  const button = event.target.closest("button.copy");
  if (button) copy(button);
});
for (const button of document.querySelectorAll("button.copy")) button.hidden = false;

// Keeps the page current without a reload: once a second, while the tab is seen, fetches it again and swaps what differs.

const PERIOD = 1000;
const PATIENCE = 5000;
const COPY = "copy";

const time = document.querySelector("[data-live-time]");
const word = document.querySelector("[data-live-word]");
const alarm = document.querySelector("#unreachable");
let lost = null;
let busy = false;

/** Somebody is marking text in there, to copy it: leave it alone until they are done. */
function isBeingRead(block) {
  const selection = document.getSelection();
  return selection !== null && !selection.isCollapsed && selection.containsNode(block, true);
}

/** Puts the fresh block in place; what was open, focused or scrolled stays so. */
function swap(stale, fresh) {
  const focused = stale.contains(document.activeElement) ? document.activeElement : null;
  const scrolled = [...stale.querySelectorAll("pre, .plot")].map((each) => each.scrollLeft);
  for (const details of stale.querySelectorAll("details[open]")) {
    fresh.querySelector(`#${CSS.escape(details.id)}`)?.setAttribute("open", "");
  }
  const focusPath = focused && pathTo(stale, focused);
  stale.replaceWith(fresh);
  [...fresh.querySelectorAll("pre, .plot")].forEach((each, index) => { each.scrollLeft = scrolled[index] ?? 0; });
  if (focusPath) {
    find(fresh, focusPath)?.focus({ preventScroll: true });
  }
}

/** The nearest ancestor with an id, and which of its focusable elements it is. */
function pathTo(block, element) {
  const anchor = element.closest("[id]") ?? block;
  return { id: anchor.id, index: focusable(anchor).indexOf(element) };
}

function find(block, { id, index }) {
  const anchor = block.id === id ? block : block.querySelector(`#${CSS.escape(id)}`);
  return anchor && (focusable(anchor)[index] ?? anchor);
}

function focusable(anchor) {
  return [anchor, ...anchor.querySelectorAll("a, summary, button, [tabindex]")];
}

function show(page) {
  const blocks = (root) => [...root.querySelectorAll("[data-live]")];
  const stale = blocks(document);
  const fresh = blocks(page);
  document.title = page.title;
  if (stale.map((each) => each.id).join() !== fresh.map((each) => each.id).join()) {
    swap(document.querySelector("main"), page.querySelector("main"));
    return;
  }
  stale.forEach((block, index) => {
    const seen = block.cloneNode(true);
    seen.querySelectorAll("details[open]").forEach((each) => each.removeAttribute("open"));
    seen.querySelectorAll("button.copy").forEach((each) => { each.textContent = COPY; });
    if (!isBeingRead(block) && seen.innerHTML !== fresh[index].innerHTML) {
      swap(block, fresh[index]);
    }
  });
}

function reached(page) {
  lost = null;
  alarm.hidden = true;
  document.body.classList.remove("is-lost");
  word.textContent = "live";
  const now = page.querySelector("[data-live-time]");
  time.dateTime = now.dateTime;
  time.textContent = now.textContent;
}

function unreached(reason) {
  if (lost === null) {
    lost = new Date();
    alarm.textContent = `Controller ${reason} since ${lost.toISOString().slice(11, 19)} UTC. ` +
      `What you see is from ${time.textContent} UTC; users keep the last ruleset their app received. Trying again.`;
    alarm.hidden = false;
  }
  document.body.classList.add("is-lost");
  word.textContent = "last known";
}

async function refresh() {
  try {
    const response = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    if (response.redirected && new URL(response.url).pathname === "/login") {
      location.reload();
      return;
    }
    if (response.status >= 500) {
      unreached(`answers with error ${response.status}`);
      return;
    }
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    if (page.querySelector("[data-live-time]") === null) {
      unreached("does not answer with this page");
      return;
    }
    addCopyButtons(page);
    show(page);
    reached(page);
  } catch {
    unreached("unreachable");
  }
}

/** Only where the browser lets a page write to the clipboard: https, or this machine. */
function addCopyButtons(root) {
  if (!navigator.clipboard) {
    return;
  }
  for (const code of root.querySelectorAll("code.command")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = COPY;
    button.setAttribute("aria-label", `Copy: ${code.textContent}`);
    code.after(button);
  }
}

async function copy(event) {
  const button = event.target.closest("button.copy");
  if (button) {
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
    button.textContent = "copied";
    setTimeout(() => { button.textContent = COPY; }, 1500);
  }
}

async function run() {
  if (busy || document.visibilityState !== "visible") {
    return;
  }
  busy = true;
  try {
    await refresh();
  } finally {
    busy = false;
  }
}

document.addEventListener("click", copy);
document.addEventListener("visibilitychange", run);
addCopyButtons(document);
word.textContent = "live";
setInterval(run, PERIOD);

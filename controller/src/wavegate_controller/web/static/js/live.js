// Keeps a page current: at once when the controller tells of something that happened, and every few seconds besides,
// since what is measured and how far a change has come is no happening. Only while the page is seen.

import { decorate } from "./decorate.js";
import { morph } from "./morph.js";
import { exact } from "./times.js";

const PATIENCE = 5000;
const FIRST_WAIT = 500;
const LONGEST_WAIT = 8000;

const alarm = document.querySelector("#unreachable");
const word = document.querySelector("[data-live-word]");
const clock = document.querySelector("[data-live-time]");
let lost = null;
let busy = false;
let again = false;
let stream = null;
let wait = FIRST_WAIT;
let isNew = true;

const main = () => document.querySelector("main");
/** Seconds between two looks; 0 for a page that does not follow. */
const period = () => Number(main().dataset.follows);

export function follow() {
  if (!clock) {
    return;
  }
  document.addEventListener("visibilitychange", resume);
  document.addEventListener("htmx:afterSettle", resume);
  setInterval(() => { if (isDue()) { refresh(); } }, 250);
  resume();
}

let looked = performance.now();
const isDue = () => document.visibilityState === "visible" && period() > 0 && performance.now() - looked >= 1000 * Math.min(period(), lost ? 1 : Infinity);

function resume() {
  const wanted = document.visibilityState === "visible" && period() > 0;
  if (!wanted) {
    stream?.abort();
    stream = null;
  } else if (stream === null) {
    listen();
    // What was loaded just now is looked at again in a second, lest something happened before the stream was there.
    if (isNew) {
      looked = performance.now() - 1000 * (period() - 1);
    } else {
      refresh();
    }
    isNew = false;
  }
}

/** Follows what happens; a browser has few connections to one host, so a page that is not seen holds none. */
async function listen() {
  const mine = new AbortController();
  stream = mine;
  while (stream === mine) {
    try {
      const answer = await fetch(main().dataset.feed, { signal: mine.signal, cache: "no-store" });
      if (answer.ok && answer.body) {
        wait = FIRST_WAIT;
        if (lost === null) {
          live();
        }
        await read(answer.body.pipeThrough(new TextDecoderStream()).getReader());
      }
    } catch {
      // Gone; whether the controller is gone too, the next look tells.
    }
    if (stream === mine) {
      refresh();
      await new Promise((done) => { setTimeout(done, wait * (0.5 + Math.random())); });
      wait = Math.min(2 * wait, LONGEST_WAIT);
    }
  }
}

async function read(reader) {
  for (;;) {
    const { value, done } = await reader.read();
    if (done) {
      return;
    }
    if (value.includes("data:")) {
      refresh();
    }
  }
}

/** Fetches the page again and shows what differs; asked while one is under way, once more afterwards. */
export async function refresh() {
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  do {
    again = false;
    looked = performance.now();
    await look();
  } while (again && document.visibilityState === "visible");
  busy = false;
}

async function look() {
  const asked = location.href;
  try {
    const answer = await fetch(asked, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    if (answer.redirected && new URL(answer.url).pathname === "/login") {
      location.reload();
      return;
    }
    if (answer.status >= 500) {
      unreached(`answers with error ${answer.status}`);
      return;
    }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (page.querySelector("[data-live-time]") === null) {
      unreached("does not answer with this page");
    } else if (asked === location.href && !document.querySelector("main .htmx-request")) {
      show(page);
      reached(page);
    }
  } catch {
    unreached("unreachable");
  }
}

function show(page) {
  document.title = page.title;
  // What an answer to a form has said stays until the next form, or the next page.
  const said = document.querySelector("main > [data-said]");
  if (said) {
    page.querySelector("main").prepend(page.importNode(said, true));
  }
  morph(main(), page.querySelector("main"));
  decorate(document);
}

function reached(page) {
  lost = null;
  alarm.hidden = true;
  live();
  clock.dateTime = page.querySelector("[data-live-time]").dateTime;
}

function live() {
  document.body.classList.remove("is-lost");
  document.body.classList.add("is-live");
  word.textContent = "live";
}

function unreached(reason) {
  if (lost === null) {
    lost = new Date();
    alarm.textContent = `Controller ${reason} since ${exact(lost)}. What you see is from ${exact(new Date(clock.dateTime))}; ` +
      "users keep the last ruleset their app received. Trying again.";
    alarm.hidden = false;
  }
  document.body.classList.remove("is-live");
  document.body.classList.add("is-lost");
  word.textContent = "last known";
}

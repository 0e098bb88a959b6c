// Times as people say them: how long ago, and the exact one on hover, in the zone of whoever looks.

const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

export const exact = (at) => EXACT.format(at);

export function tellTimes(root) {
  for (const each of root.querySelectorAll("time[data-relative], time[data-clock]")) {
    const at = new Date(each.dateTime);
    put(each, "title", exact(at));
    const said = each.hasAttribute("data-clock") ? clock(at) : ago(at);
    if (each.textContent !== said) {
      each.textContent = said;
    }
  }
}

function put(element, name, value) {
  if (element.getAttribute(name) !== value) {
    element.setAttribute(name, value);
  }
}

function clock(at) {
  return (at.toDateString() === new Date().toDateString() ? CLOCK : DAY).format(at);
}

/** As `sentences.ago` says it, which is what stands there before a script has run. */
function ago(at) {
  const seconds = (Date.now() - at.getTime()) / 1000;
  // The clocks of two machines differ; a moment ago is never in the future.
  return seconds < -1 ? `in ${span(-seconds)}` : `${span(Math.max(0, seconds))} ago`;
}

function span(length) {
  const seconds = Math.floor(length);
  if (seconds < 60) {
    return `${seconds} s`;
  }
  if (seconds < 3600) {
    const minutes = Math.floor(seconds / 60);
    return seconds < 600 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`;
  }
  if (seconds < 86400) {
    return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  }
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

setInterval(() => { if (document.visibilityState === "visible") { tellTimes(document); } }, 1000);

// Keeps what stands in an editor (a form with `data-draft`) in this browser until it is saved. The draft is given back by
// the controller, which makes the form anew from it: rows and all, as if it had just been typed.

const PREFIX = "wavegate-draft:";
const SENT = "wavegate-draft-sent";
/** What is no input of a person, or must be that of the page. */
const LEFT_OUT = new Set(["csrf", "reviewed", "do"]);

const place = (form) => PREFIX + new URL(form.action || location.href).pathname + new URL(location.href).search;

function written(form) {
  const fields = [...new FormData(form)].filter(([name, value]) => !LEFT_OUT.has(name) && typeof value === "string");
  return new URLSearchParams(fields).toString();
}

function keep(form) {
  try {
    localStorage.setItem(place(form), JSON.stringify({ at: Date.now(), text: written(form) }));
  } catch {
    // A browser that keeps nothing, or is full: the form works all the same.
  }
}

function found(form) {
  try {
    return JSON.parse(localStorage.getItem(place(form)));
  } catch {
    return null;
  }
}

/** Sends the form as it was, to be shown again; nothing is saved by that. */
function giveBack(form, draft) {
  const again = document.createElement("form");
  again.method = "post";
  again.hidden = true;
  const csrf = form.querySelector("input[name=csrf]");
  for (const [name, value] of [...new URLSearchParams(draft.text), ["do", "keep"], ...(csrf ? [["csrf", csrf.value]] : [])]) {
    const field = document.createElement("textarea");
    field.name = name;
    field.value = value;
    again.append(field);
  }
  document.body.append(again);
  again.submit();
}

function offer(form, draft) {
  const note = document.createElement("p");
  note.className = "kept";
  note.setAttribute("role", "status");
  note.textContent = `You have unsaved changes of ${new Date(draft.at).toLocaleString()} here. `;
  for (const [text, act] of [["Go on with them", () => giveBack(form, draft)], ["Throw them away", () => { localStorage.removeItem(place(form)); note.remove(); }]]) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button";
    button.textContent = text;
    button.addEventListener("click", act);
    note.append(button, " ");
  }
  form.before(note);
}

const form = document.querySelector("form[data-draft]");
try {
  // What was sent to be saved and led away from its editor was saved.
  const sent = sessionStorage.getItem(SENT);
  if (sent && (!form || place(form) !== sent)) {
    localStorage.removeItem(sent);
  }
  sessionStorage.removeItem(SENT);
} catch {
  // As above.
}
if (form) {
  const initial = written(form);
  const draft = found(form);
  // What the controller answers a form with is what was typed last.
  if (draft && draft.text !== initial && !("typed" in form.dataset)) {
    offer(form, draft);
  }
  form.addEventListener("input", () => keep(form));
  form.addEventListener("submit", (event) => {
    if (event.submitter?.value === "save") {
      sessionStorage.setItem(SENT, place(form));
    } else {
      keep(form);
    }
  });
}

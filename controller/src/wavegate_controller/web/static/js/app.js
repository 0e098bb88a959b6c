// What every page runs. Without it each page is complete and stands still, and each form works.

import { decorate } from "./decorate.js";
import { follow } from "./live.js";
import { morphs } from "./morph.js";
import "./copy.js";
import "./palette.js";
import "./menus.js";
import "./drafts.js";

morphs();
decorate(document);
document.addEventListener("htmx:afterSettle", () => decorate(document));
follow();

// What scripts add to a page that the controller has rendered; done again after each change, so it must bear repeating.

import { addCopyButtons } from "./copy.js";
import { drawCharts } from "./charts.js";
import { tellTimes } from "./times.js";

export function decorate(root) {
  tellTimes(root);
  addCopyButtons(root);
  drawCharts(root);
}

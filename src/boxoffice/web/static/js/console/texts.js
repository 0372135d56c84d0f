import * as brand from "./brand/texts.js";
import * as search from "./search/texts.js";
import * as posters from "./events/poster-texts.js";
import * as events from "./events/texts.js";
import * as money from "./money/texts.js";
import * as offers from "./offers/texts.js";
import * as reports from "./reports/texts.js";
import { en } from "./texts-en.js";
import { ko } from "./texts-ko.js";
import * as team from "./team/texts.js";
import * as webhooks from "./webhooks/texts.js";

/** What the console says, by language. */
export const texts = {
  ko: { ...ko, ...brand.ko, ...events.ko, ...money.ko, ...offers.ko, ...posters.ko, ...reports.ko, ...search.ko, ...team.ko, ...webhooks.ko },
  en: { ...en, ...brand.en, ...events.en, ...money.en, ...offers.en, ...posters.en, ...reports.en, ...search.en, ...team.en, ...webhooks.en },
};

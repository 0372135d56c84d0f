// The texts of the buyer's pages.

import { en } from "./en.js";
import { ko } from "./ko.js";
import { offerTexts } from "../offers/texts.js";

export const texts = { en: { ...en, ...offerTexts.en }, ko: { ...ko, ...offerTexts.ko } };

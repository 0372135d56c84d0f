// The texts of the buyer's pages.

import { offerTexts } from "../offers/texts.js";
import { en } from "./en.js";
import { ko } from "./ko.js";
import { listingEn } from "./listing-en.js";
import { listingKo } from "./listing-ko.js";

export const texts = { en: { ...en, ...listingEn, ...offerTexts.en }, ko: { ...ko, ...listingKo, ...offerTexts.ko } };

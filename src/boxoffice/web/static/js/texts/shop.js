// The texts of the buyer's pages.

import { offerTexts } from "../offers/texts.js";
import { accountEn } from "./account-en.js";
import { accountKo } from "./account-ko.js";
import { en } from "./en.js";
import { ko } from "./ko.js";
import { listingEn } from "./listing-en.js";
import { listingKo } from "./listing-ko.js";
import { sellerTexts } from "./seller.js";
import { widgetTexts } from "./widget.js";
import { waitingListTexts } from "../waiting-list/texts.js";

export const texts = {
  en: { ...en, ...listingEn, ...accountEn, ...offerTexts.en, ...sellerTexts.en, ...waitingListTexts.en, ...widgetTexts.en },
  ko: { ...ko, ...listingKo, ...accountKo, ...offerTexts.ko, ...sellerTexts.ko, ...waitingListTexts.ko, ...widgetTexts.ko },
};

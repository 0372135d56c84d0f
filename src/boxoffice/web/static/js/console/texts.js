import { en } from "./texts-en.js";
import { ko } from "./texts-ko.js";

/** What the console says, by language. */
export const texts = { ko, en };

import { en } from "./texts-en.js";
import { ko } from "./texts-ko.js";

/** What the pages about seats, guests and the box office say, by language. */
export const texts = { ko, en };

export { en } from "./texts-en.js";
export { ko } from "./texts-ko.js";

/** What the console says. */
export const texts = {
  ko: {
    "console.title": "주최자 콘솔",
  },
  en: {
    "console.title": "Organizer's console",
  },
};

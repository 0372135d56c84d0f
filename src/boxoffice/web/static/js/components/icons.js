/** The drawings of the pages: one path each, in a square of 24 units. */
export const ICONS = {
  ticket: "M3 7h18v3.5a1.5 1.5 0 0 0 0 3V17H3v-3.5a1.5 1.5 0 0 0 0-3zm6 2v6h1.5V9z",
  calendar: "M7 3v2H4v16h16V5h-3V3h-2v2H9V3zm-1 7h12v9H6z",
  place: "M12 2a7 7 0 0 0-7 7c0 5 7 13 7 13s7-8 7-13a7 7 0 0 0-7-7zm0 4.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5z",
  search: "M10 3a7 7 0 1 0 4.3 12.5l5.1 5.1 1.4-1.4-5.1-5.1A7 7 0 0 0 10 3zm0 2a5 5 0 1 1 0 10 5 5 0 0 1 0-10z",
  plus: "M11 5h2v6h6v2h-6v6h-2v-6H5v-2h6z",
  minus: "M5 11h14v2H5z",
  fit: "M4 4h6v2H6v4H4zm10 0h6v6h-2V6h-4zM4 14h2v4h4v2H4zm14 0h2v6h-6v-2h4z",
  clock: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zm-1 4h2v5.2l3.4 2-1 1.7-4.4-2.6z",
  check: "M9.5 16.2 5.3 12l-1.4 1.4 5.6 5.6L20.6 8l-1.4-1.4z",
  wallet: "M4 5h14v3h3v11H4a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1zm13 7.5v2h2v-2z",
  print: "M7 3h10v4H7zM4 8h16v8h-3v-3H7v3H4zm5 7h6v6H9z",
  share: "M12 2 6.5 7.5l1.4 1.4L11 5.8V15h2V5.8l3.1 3.1 1.4-1.4zM5 11v10h14V11h-2v8H7v-8z",
  door: "M5 3h11v18h3v2H3v-2h2zm7 9h2v2h-2z",
  person: "M12 3a4 4 0 1 0 0 8 4 4 0 0 0 0-8zm0 10c-4.4 0-8 2.2-8 5v3h16v-3c0-2.8-3.6-5-8-5z",
  close: "m6.4 5 5.6 5.6L17.6 5 19 6.4 13.4 12l5.6 5.6-1.4 1.4-5.6-5.6L6.4 19 5 17.6l5.6-5.6L5 6.4z",
};

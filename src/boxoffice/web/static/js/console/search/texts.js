// What the search of the console says.

export const en = {
  "search.title": "Search orders", "search.label": "Name, e-mail, seat or order number",
  "search.hint": "Beginnings are enough: kim, minjun@, A-12, 4KX7. Press / to search.",
  "search.search": "Search", "search.none": "Nothing found for “{text}”.",
  "search.found": ["{n} order", "{n} orders"],
  "search.more": "The first {n} orders. Add a letter, a first name or a part of the address.",
  "search.similar": ["Nothing begins with “{text}”. {n} order is similar:", "Nothing begins with “{text}”. {n} orders are similar:"],
  "log.orders.read": ["{n} order shown by a search", "{n} orders shown by a search"], "log.filter.text": "text",
};

export const ko = {
  "search.title": "주문 검색", "search.label": "이름, 이메일, 좌석 또는 예매 번호",
  "search.hint": "앞부분만 입력해도 됩니다: 김민, minjun@, A-12, 4KX7. / 키로 검색합니다.",
  "search.search": "검색", "search.none": "“{text}” 검색 결과가 없습니다.",
  "search.found": ["주문 {n}건", "주문 {n}건"],
  "search.more": "처음 {n}건입니다. 글자나 이름, 이메일 일부를 더 입력해 주세요.",
  "search.similar": ["“{text}”(으)로 시작하는 결과가 없습니다. 비슷한 주문 {n}건:", "“{text}”(으)로 시작하는 결과가 없습니다. 비슷한 주문 {n}건:"],
  "log.orders.read": ["검색으로 주문 {n}건 조회", "검색으로 주문 {n}건 조회"], "log.filter.text": "검색어",
};

/** What the widget on other sites says, by language. */
export const widgetTexts = {
  en: {
    "widget.none": "There are no dates now.",
    "widget.all": ["All {n} dates", "All {n} dates"],
    "widget.opensIn": "Opens in {time}",
    "widget.soon": "Opens soon",
    "widget.open": "On sale",
    "widget.buy": "Buy",
    "widget.buyFor": "Buy tickets for {when}",
    "widget.yours": "your time: {when}",
  },
  ko: {
    "widget.none": "예매할 수 있는 날짜가 없습니다.",
    "widget.all": ["전체 {n}개 날짜", "전체 {n}개 날짜"],
    "widget.opensIn": "예매 시작까지 {time}",
    "widget.soon": "예매 예정",
    "widget.open": "예매 중",
    "widget.buy": "예매하기",
    "widget.buyFor": "{when} 예매하기",
    "widget.yours": "내 시간: {when}",
  },
};

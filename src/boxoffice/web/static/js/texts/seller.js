/** Who sells, and the terms, by language. */
export const sellerTexts = {
  en: {
    "terms.title": "Terms and conditions",
    "terms.none": "The organizer has no terms of its own.",
    "terms.soldBy": "Sold by",
    "terms.accept": "By paying you accept the terms of {name}.",
    "terms.read": "Read the terms",
  },
  ko: {
    "terms.title": "이용 약관",
    "terms.none": "주최자의 별도 약관이 없습니다.",
    "terms.soldBy": "판매자",
    "terms.accept": "결제하시면 {name}의 약관에 동의하는 것으로 간주됩니다.",
    "terms.read": "약관 보기",
  },
};

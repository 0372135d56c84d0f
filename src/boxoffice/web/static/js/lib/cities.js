// Cities of Korea in both languages: a venue has one name of its city.

import { currentLanguage } from "./i18n.js";

const KOREAN = {
  Seoul: "서울", Busan: "부산", Daegu: "대구", Incheon: "인천", Gwangju: "광주", Daejeon: "대전", Ulsan: "울산", Sejong: "세종",
  Suwon: "수원", Goyang: "고양", Seongnam: "성남", Yongin: "용인", Bucheon: "부천", Ansan: "안산", Anyang: "안양", Cheonan: "천안",
  Cheongju: "청주", Jeonju: "전주", Changwon: "창원", Pohang: "포항", Gyeongju: "경주", Gangneung: "강릉", Chuncheon: "춘천", Yeosu: "여수", Jeju: "제주",
};
const ENGLISH = Object.fromEntries(Object.entries(KOREAN).map(([en, ko]) => [ko, en]));

/** Returns the name of a city in the user's language where it is known, else as it is. */
export function cityName(city) {
  const plain = city.replace(/(광역시|특별시|특별자치시|시)$/, "");
  return currentLanguage() === "ko" ? KOREAN[city] ?? city : ENGLISH[plain] ?? city;
}

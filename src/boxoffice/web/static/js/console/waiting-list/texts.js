// The texts of the console about waiting lists.

const en = {
  "listOfWaiting.title": "Waiting list",
  "listOfWaiting.lead": "“Tell me when seats return” on the page of a sold-out performance. Seats of holds that begin after the switch go to the list first, in the order of joining; they are on sale {n} seconds later at the latest.",
  "listOfWaiting.isOn": "The waiting list is on.",
  "listOfWaiting.isOff": "The waiting list is off.",
  "listOfWaiting.on": "Switch on",
  "listOfWaiting.off": "Switch off",
  "listOfWaiting.offTitle": "Switch the waiting list off?",
  "listOfWaiting.offDetail": "Entries that wait end. Seats that are held for an offer stay held until the offer ends.",
  "listOfWaiting.saved": "Saved.",
  "listOfWaiting.waiting": "Waiting",
  "listOfWaiting.seatsWanted": "Seats wanted",
  "listOfWaiting.offered": "Offers open",
  "listOfWaiting.taken": "Offers paid",
  "listOfWaiting.lapsed": "Offers lapsed",
  "log.schedule.waiting_list_on": "Waiting list switched on",
  "log.schedule.waiting_list_off": "Waiting list switched off",
};

const ko = {
  "listOfWaiting.title": "취소표 대기",
  "listOfWaiting.lead": "매진된 공연의 좌석 페이지에 ‘취소표 알림 신청’이 표시됩니다. 켠 뒤에 시작된 선점의 좌석은 신청 순서대로 대기자에게 먼저 배정되며, 늦어도 {n}초 뒤에는 다시 판매됩니다.",
  "listOfWaiting.isOn": "취소표 대기를 받고 있습니다.",
  "listOfWaiting.isOff": "취소표 대기를 받지 않습니다.",
  "listOfWaiting.on": "켜기",
  "listOfWaiting.off": "끄기",
  "listOfWaiting.offTitle": "취소표 대기를 끌까요?",
  "listOfWaiting.offDetail": "대기 중인 신청은 종료됩니다. 이미 배정된 좌석은 기한까지 유지됩니다.",
  "listOfWaiting.saved": "저장했습니다.",
  "listOfWaiting.waiting": "대기 인원",
  "listOfWaiting.seatsWanted": "희망 좌석",
  "listOfWaiting.offered": "배정 중",
  "listOfWaiting.taken": "결제 완료",
  "listOfWaiting.lapsed": "배정 종료",
  "log.schedule.waiting_list_on": "취소표 대기 켬",
  "log.schedule.waiting_list_off": "취소표 대기 끔",
};

export const texts = { en, ko };

"""People whose names and addresses have the shape of real ones: a few names are very frequent.

Four of five are Korean, a fifth of these romanized; addresses are made of names and numbers.
"""

import random
from collections.abc import Iterator
from typing import NamedTuple

# Korean surnames, romanized, with their share in per mille.
_SURNAMES = """
    김 kim 215, 이 lee 147, 박 park 84, 최 choi 47, 정 jung 43, 강 kang 24, 조 cho 21,
    윤 yoon 21, 장 jang 20, 임 lim 17, 한 han 15, 오 oh 15, 서 seo 15, 신 shin 15, 권 kwon 14,
    황 hwang 14, 안 ahn 14, 송 song 14, 유 yoo 13, 홍 hong 11, 전 jeon 11, 고 ko 9, 문 moon 9,
    양 yang 9, 손 son 9, 배 bae 8, 백 baek 8, 허 heo 7, 남 nam 6, 심 shim 5, 노 noh 6, 하 ha 5,
    곽 kwak 4, 성 sung 4, 차 cha 4, 주 joo 4, 우 woo 4, 구 koo 4, 민 min 3, 류 ryu 3
"""
# The two syllables of given names, the frequent ones first.
_FIRST = """
    민 min, 지 ji, 서 seo, 예 ye, 수 su, 현 hyun, 준 jun, 도 do, 하 ha, 은 eun, 주 ju, 유 yu,
    정 jung, 성 sung, 재 jae, 승 seung, 태 tae, 동 dong, 영 young, 나 na, 다 da, 세 se, 소 so,
    시 si, 연 yeon, 우 woo, 윤 yun, 진 jin, 채 chae, 한 han, 혜 hye, 희 hee, 건 geon, 경 kyung,
    미 mi, 보 bo, 선 sun, 아 a, 원 won, 인 in
"""
_SECOND = """
    준 jun, 우 woo, 연 yeon, 은 eun, 민 min, 현 hyun, 원 won, 진 jin, 호 ho, 영 young, 아 a,
    서 seo, 윤 yun, 희 hee, 수 su, 빈 bin, 훈 hoon, 경 kyung, 혁 hyuk, 석 seok, 린 rin, 율 yul,
    하 ha, 나 na, 지 ji, 미 mi, 선 sun, 정 jung, 주 ju, 성 sung, 규 kyu, 환 hwan, 철 chul,
    용 yong, 웅 woong, 솔 sol, 별 byul, 랑 rang, 결 gyeol, 찬 chan
"""
_OTHER_FIRST = """
    James Mary Robert Patricia John Jennifer Michael Linda David Elizabeth William Barbara
    Richard Susan Joseph Jessica Thomas Sarah Christopher Karen Charles Lisa Daniel Nancy
    Matthew Sandra Anthony Ashley Mark Emily Donald Kimberly Steven Margaret Andrew Donna Paul
    Michelle Joshua Carol René Zoë Jürgen Søren Maja Oleksandr Yuki Haruto Mei Nguyen Priya
    Arjun Fatima Omar Chloé Lucía Mateo Anaïs Björn
"""
_OTHER_LAST = """
    Smith Johnson Williams Brown Jones Garcia Miller Davis Rodriguez Martinez Hernandez Lopez Gonzalez
    Wilson Anderson Thomas Taylor Moore Jackson Martin Perez Thompson White Harris Sanchez Clark
    Ramirez Lewis Robinson Walker Young Allen King Wright Scott Torres Hill Flores Green Adams Nelson
    Baker Hall Rivera Campbell Mitchell Carter Roberts Schmidt Müller Schneider Fischer Weber Wagner
    Becker Hoffmann Tanaka Suzuki Watanabe Sato Patel Singh Kowalski Nowak Andersson Lindqvist
    Featherstonehaugh
"""
_PROVIDERS = """
    gmail.com 42, naver.com 33, daum.net 7, hanmail.net 6, kakao.com 5, outlook.com 4, icloud.com 3
"""
_OTHERS = _ROMANIZED = 0.2
_SHAPES = ("{0}.{1}", "{1}{0}", "{0}_{1}", "{0}")


class Person(NamedTuple):
    """A name and an address."""

    name: str
    email: str


def people(chance: random.Random, count: int, turn: str) -> Iterator[Person]:
    """Yield people; `turn` makes their addresses unique among several calls."""
    surnames, firsts, seconds = _table(_SURNAMES), _table(_FIRST), _table(_SECOND)
    others = _OTHER_FIRST.split(), _OTHER_LAST.split()
    providers = _table(_PROVIDERS)
    shares = [int(share) for _, share in providers]
    weights = [int(share) for *_, share in surnames]
    zipf = [1 / (1 + at / 4) for at in range(len(firsts))]
    for at in range(count):
        if chance.random() < _OTHERS:
            first, last = chance.choice(others[0]), chance.choice(others[1])
            name, words = f"{first} {last}", (first.lower(), last.lower())
        else:
            surname, family, _ = chance.choices(surnames, weights)[0]
            one, a = chance.choices(firsts, zipf)[0]
            two, b = chance.choices(seconds, zipf)[0]
            is_romanized = chance.random() < _ROMANIZED
            words = (a + b, family)
            name = f"{a + b} {family}".title() if is_romanized else surname + one + two
        local = chance.choice(_SHAPES).format(*words).encode("ascii", "ignore").decode()
        provider = chance.choices(providers, shares)[0][0]
        yield Person(name, f"{local}{at}{turn}@{provider}")


def _table(text: str) -> list[list[str]]:
    return [entry.split() for entry in text.split(",")]

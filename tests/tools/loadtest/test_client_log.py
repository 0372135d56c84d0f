"""The client's log, line by line."""

from boxoffice_loadtest.analysis import aggregation, windows
from boxoffice_loadtest.measurement import client_log
from boxoffice_loadtest.measurement.log_reader import LogReader
from tests.tools.loadtest import samples

LINES = [
    b'["start",1000,9]',
    b'[3,["concerts",1010,2.5,200,"",548],["seats",1020,3,200,"",90]]',
    b'[3,["hold",1100,5,409,"seat_taken"],["hold",1200,6,201,"","k1","r1",["A-1","A-2"]]]',
    b'[3,["pay",1300,7,201,"","k2","r1","p1",200]]',
    b'[4,["hold",1400,8,503,"overloaded","k3"]]',
    b'[4,["pay",1500,15000,0,"k6_1050","k4","r9"]]',
    b'[5,["release",1600,4,204,"","r8"],["release",1700,4,0,"k6_1050","r7"]]',
]


def test_a_log_keeps_what_was_acknowledged_and_what_was_lost() -> None:
    found = client_log.parse(LINES)
    assert (found.started_ms, found.planned_iterations, found.iterations) == (1000, 9, 6)
    assert len(found.requests) == 9
    assert [(one.reservation_id, one.user, one.seats) for one in found.holds] == [
        ("r1", 3, ("A-1", "A-2"))
    ]
    assert [(one.payment_id, one.amount) for one in found.payments] == [("p1", 200)]
    assert found.lost == {"k3": "hold", "k4": "pay"}
    assert (found.releases, found.lost_releases) == ({"r8": 1600}, {"r7"})
    assert (found.buyers, found.unreadable) == ({3, 4}, 0)


def test_refusals_are_not_failures() -> None:
    found = client_log.parse(LINES)
    assert [one.status for one in found.requests if one.is_rejection] == [409]
    assert [one.status for one in found.requests if one.is_failure] == [503, 0, 0]
    kinds = {one.kind for one in found.requests}
    assert kinds == {"lookup", "seats", "refused", "hold", "pay", "release"}


def test_a_304_is_a_small_lookup() -> None:
    found = client_log.parse([b'[3,["seats",1020,3,304,""],["seats",1030,3,200,"",150000]]'])
    assert [one.kind for one in found.requests] == ["lookup", "seats"]


def test_an_unreadable_line_is_counted() -> None:
    found = client_log.parse([*LINES, b"[1,[", b"{}", b'[1,["hold",1,2,201,"","k"]]'])
    assert found.unreadable == 3


def test_percentiles_are_by_nearest_rank() -> None:
    ordered = [float(value) for value in range(1, 101)]
    assert [client_log.percentile(ordered, percent) for percent in (50, 95, 99, 100)] == [
        50,
        95,
        99,
        100,
    ]
    assert client_log.percentile([7.0], 95) == 7.0
    assert client_log.percentile([], 95) == 0.0


def test_merged_logs_have_everything() -> None:
    one, other = client_log.parse(LINES), samples.log()
    whole = client_log.merged([one, other])
    assert whole.started_ms == 1000
    assert len(whole.requests) == len(one.requests) + len(other.requests)
    assert whole.lost == one.lost
    assert whole.buyers == {1, 2, 3, 4}


def test_a_scenario_is_sold_out_when_its_last_seat_is_acknowledged() -> None:
    assert aggregation.sold_out_s(samples.log(), 3) == 1.13
    assert aggregation.sold_out_s(samples.log(), 4) is None


def test_the_timeline_counts_answers_by_when_they_arrived() -> None:
    found = aggregation.timeline(samples.log())
    assert [(one.at_s, one.answers, one.rejections, one.seats_taken) for one in found] == [
        (0, 2, 0, 2),
        (1, 2, 1, 3),
    ]


def test_requests_count_in_the_sample_in_which_they_were_answered() -> None:
    requests = samples.log().requests
    seen = [samples.sample(float(second)) for second in (1, 2, 3)]
    found = windows.load_windows(requests, seen, 1_000.0, 2.0)
    assert [one.counts for one in found] == [{"hold": 2, "pay": 1, "refused": 1}]
    assert found[0].cpu_s["api"] == 1.0
    assert found[0].transactions == 100.0


def test_the_reader_reads_whole_lines_and_notices_a_dead_target(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "requests.jsonl"
    log_reader = LogReader(path)
    log_reader.read()
    path.write_bytes(LINES[0] + b"\n" + LINES[1][:10])
    log_reader.read()
    assert (log_reader.log.started_ms, log_reader.log.iterations) == (1000, 0)
    with path.open("ab") as file:
        file.write(LINES[1][10:] + b"\n")
        for number in range(10):
            line = f'[1,["concerts",{2000 + 400 * number},1,0,"k6_1212"]]\n'
            file.write(line.encode())
            file.flush()
            log_reader.read()
            assert log_reader.is_target_dead == (number >= 8)
    log_reader.close()
    assert log_reader.log.iterations == 11


def test_the_log_keeps_when_iterations_began() -> None:
    found = client_log.parse(LINES)
    assert found.began_ms == [1010, 1100, 1300, 1400, 1500, 1600]
    assert client_log.merged([found, found]).began_ms == 2 * found.began_ms

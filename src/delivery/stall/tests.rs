//! What the stall watch decides, by a clock that the tests set.

use super::*;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn a_client_is_disconnected_when_it_takes_nothing_or_stays_over_the_limit() {
    // What is seen at each second: bytes taken in all, whether more is under way, and since when
    // the queue is over the limit.
    type Look = (u64, u64, bool, Option<u64>);
    let cases: [(&str, &[Look], Option<Cause>); 8] = [
        ("takes something", &[(0, 0, true, None), (9, 1, true, None), (18, 2, true, None)], None),
        ("at the end", &[(0, 5, true, None), (9, 5, true, None)], None),
        ("stops", &[(0, 5, true, None), (10, 5, true, None)], Some(Cause::StoppedReading)),
        (
            "stops after a while",
            &[(0, 5, true, None), (9, 6, true, None), (19, 6, true, None)],
            Some(Cause::StoppedReading),
        ),
        (
            "has nothing to take for a while",
            &[(0, 5, true, None), (9, 5, false, None), (18, 5, true, None)],
            None,
        ),
        (
            "reads, and its queue does not fall",
            &[(0, 0, true, Some(0)), (6, 1, true, Some(0)), (10, 2, true, Some(0))],
            Some(Cause::ReadTooSlowly),
        ),
        (
            "its queue has fallen in between",
            &[(0, 0, true, Some(0)), (6, 1, true, Some(6)), (12, 2, true, Some(6))],
            None,
        ),
        (
            "has perhaps stopped",
            &[(0, 0, true, Some(0)), (4, 1, true, Some(0)), (12, 1, true, Some(0))],
            None,
        ),
    ];
    for (name, looks, expected) in cases {
        let (first, taken, ..) = looks[0];
        let mut clock = TakenClock { taken, since: seconds(first) };
        let mut cause = None;
        for &(second, taken, under_way, over) in looks {
            assert_eq!(cause, None, "{name}: too early");
            let nothing_for = clock.look(seconds(second), taken, under_way);
            let over_for = over.map(|since| seconds(second - since));
            cause = end_of_patience(nothing_for, over_for, seconds(10));
        }
        assert_eq!(cause, expected, "{name}");
    }
}

#[test]
fn a_queue_is_over_for_as_long_as_it_is_served_and_no_file_moves() {
    // What is seen at each second: which time it is over, bytes taken in all, seconds in which
    // nobody wrote, whether a file is under way; and for how long it is then over.
    type Look = (u64, Option<u64>, u64, u64, bool, Option<u64>);
    let cases: [(&str, &[Look]); 5] = [
        ("stays over", &[(0, Some(1), 0, 0, false, Some(0)), (7, Some(1), 9, 0, false, Some(7))]),
        ("is over anew", &[(0, Some(1), 0, 0, false, Some(0)), (7, None, 0, 0, false, None)]),
        (
            "is over another time",
            &[(0, Some(1), 0, 0, false, Some(0)), (7, Some(2), 0, 0, false, Some(0))],
        ),
        (
            "waits its turn",
            &[(0, Some(1), 0, 0, false, Some(0)), (7, Some(1), 0, 5, false, Some(2))],
        ),
        (
            "fetches a file that moves, and then one that does not",
            &[
                (0, Some(1), 0, 0, true, Some(0)),
                (7, Some(1), 99, 0, true, Some(7)),
                (8, Some(1), 100, 0, true, Some(0)),
                (12, Some(1), 199, 0, true, Some(4)),
                (13, Some(1), 300, 0, false, Some(5)),
            ],
        ),
    ];
    for (name, looks) in cases {
        let mut watched = Watched::new(Weak::new());
        for &(second, episode, taken, unserved, is_file_under_way, expected) in looks {
            let unserved = seconds(unserved);
            let queue = Queue { episode, taken, unserved, is_file_under_way, enough: 100 };
            let over_for = watched.look_at_queue(seconds(second), &queue);
            assert_eq!(over_for, expected.map(seconds), "{name}, at {second} s");
        }
    }
}

#[test]
fn time_in_which_the_server_did_not_run_does_not_count() {
    let mut clock = RunningClock::new(Duration::from_millis(500));
    let start = clock.looked;
    // As if the last look had been so long ago.
    for (passed, counted) in [(0, 0), (500, 500), (1000, 1000), (1001, 1000), (60_000, 1000)] {
        (clock.looked, clock.counted) = (start, Duration::ZERO);
        assert_eq!(
            clock.look_at(start + Duration::from_millis(passed)),
            Duration::from_millis(counted),
            "{passed} ms"
        );
    }
}

#[test]
fn a_host_has_vanished_once_it_has_answered_nothing_for_too_long() {
    // What is seen at which second: whether the host is silent, and whether it has vanished.
    let looks = [
        (0, false, false),
        (1, true, false),
        (110, true, false),
        (111, true, true),
        (112, false, false),
        (300, true, false),
        (409, true, false),
        (410, true, true),
    ];
    let mut watched = Watched::new(Weak::new());
    for (second, is_silent, has_vanished) in looks {
        let found = watched.look_for_host(seconds(second), is_silent);
        assert_eq!(found, has_vanished.then_some(Cause::Vanished), "at {second} s");
    }
}

//! The room on disk: who waits for it, who makes it, and that it is never more than twice the limit.

#![cfg(not(shuttle))]

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::ledger::{Entry, Ledger, Room};
use super::*;

const TOM: Uid = Uid(1);
const EVE: Uid = Uid(3);

/// A share has to move 4 bytes in so long.
const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(60);

fn stage(limit: u64, time: Duration) -> Stage {
    Stage::open(None, limit, Pace { bytes: 4, time }).unwrap()
}

fn commit(arrival: Arrival<'_>) -> Result<FileId, StageError> {
    arrival.commit(Extension::parse(b"bin").unwrap(), None, TOM)
}

fn share(stage: &Stage, len: usize) -> Result<FileId, StageError> {
    let mut arrival = stage.begin(None)?;
    arrival.write(&vec![b'x'; len])?;
    commit(arrival)
}

fn open_file() -> OpenFile {
    let place = Places::new(1).take(Duration::ZERO, || (), || None::<()>).unwrap();
    OpenFile { file: tempfile::tempfile().unwrap(), _place: place }
}

/// How many bytes the files in the stage's directory have.
fn on_disk(stage: &Stage) -> u64 {
    let entries = fs::read_dir(&stage.dir).unwrap();
    entries.map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

fn total(stage: &Stage) -> u64 {
    stage.shared.ledger.lock().total()
}

/// Waits until a share waits for room.
fn wait_until_one_waits(stage: &Stage, number: u64) {
    let until = Instant::now() + Duration::from_secs(10);
    while !stage.shared.ledger.lock().is_waiting(number) {
        assert!(Instant::now() < until, "nobody waits");
        thread::yield_now();
    }
}

#[test]
fn a_share_without_room_waits_until_others_are_whole() {
    let stage = stage(10, LONG);
    let mut first = stage.begin(None).unwrap();
    first.write(b"123456").unwrap();
    thread::scope(|scope| {
        let second = scope.spawn(|| share(&stage, 5));
        wait_until_one_waits(&stage, 2);
        assert_eq!(on_disk(&stage), 6);
        assert_eq!(commit(first), Ok(FileId(1)));
        assert_eq!(second.join().unwrap(), Ok(FileId(2)));
    });
    assert_eq!(total(&stage), 5);
    // The same where the other one comes to nothing.
    let mut third = stage.begin(None).unwrap();
    third.write(b"123456").unwrap();
    thread::scope(|scope| {
        let fourth = scope.spawn(|| share(&stage, 5));
        wait_until_one_waits(&stage, 4);
        drop(third);
        assert_eq!(fourth.join().unwrap(), Ok(FileId(3)));
    });
    assert_eq!(on_disk(&stage), 10);
}

#[test]
fn a_share_that_stands_still_makes_room_for_others() {
    let stage = stage(10, SHORT);
    let mut still = stage.begin(None).unwrap();
    still.write(b"123456").unwrap();
    let start = Instant::now();
    // As in a child process that has a copy.
    let copy = File::open(stage.arriving_path(1)).unwrap();
    assert_eq!(share(&stage, 10), Ok(FileId(1)));
    assert!(start.elapsed() >= SHORT, "refused before its time: {:?}", start.elapsed());
    // Its bytes were given back before its own thread has noticed.
    assert_eq!((total(&stage), on_disk(&stage)), (10, 10));
    assert_eq!(copy.metadata().unwrap().len(), 0);
    assert_eq!(still.write(b"7"), Err(StageError::ShareTooSlow));
    assert_eq!(commit(still), Err(StageError::ShareTooSlow));
    assert_eq!((total(&stage), on_disk(&stage)), (10, 10));
}

#[test]
fn a_share_that_stands_still_makes_place_for_others() {
    let mut stage = stage(100, SHORT);
    stage.limit_open_files(4);
    let start = Instant::now();
    let mut still = stage.begin(None).unwrap();
    still.write(b"1").unwrap();
    let mut moving = stage.begin(None).unwrap();
    thread::scope(|scope| {
        let third = scope.spawn(|| share(&stage, 5));
        while !third.is_finished() {
            moving.write(b"1").unwrap();
            thread::sleep(SHORT / 20);
        }
        assert_eq!(third.join().unwrap(), Ok(FileId(1)));
    });
    assert!(start.elapsed() >= SHORT, "refused before its time: {:?}", start.elapsed());
    // Its place and its bytes were given back before its own thread has noticed.
    assert_eq!(total(&stage), on_disk(&stage));
    assert_eq!(still.write(b"2"), Err(StageError::ShareTooSlow));
    assert_eq!(commit(moving), Ok(FileId(2)));
}

#[test]
fn a_share_is_refused_where_all_places_are_taken_and_nobody_is_too_slow() {
    let mut stage = stage(100, LONG);
    stage.limit_open_files(2);
    let mut only = stage.begin(None).unwrap();
    assert_eq!(stage.begin(None).unwrap_err(), StageError::TooManyOpen);
    only.write(b"1").unwrap();
    assert_eq!(commit(only), Ok(FileId(1)));
    assert_eq!(share(&stage, 5), Ok(FileId(2)));
}

#[test]
fn a_share_that_stands_still_is_in_nobodys_way_where_there_is_room() {
    let stage = stage(10, Duration::from_millis(1));
    let mut still = stage.begin(None).unwrap();
    still.write(b"1").unwrap();
    thread::sleep(Duration::from_millis(2));
    assert_eq!(share(&stage, 9), Ok(FileId(1)));
    still.write(b"2").unwrap();
    assert_eq!(commit(still), Ok(FileId(2)));
}

#[test]
fn where_all_wait_for_each_other_one_is_refused_and_the_others_go_on() {
    let stage = stage(10, LONG);
    let mut first = stage.begin(None).unwrap();
    first.write(b"1234").unwrap();
    let mut second = stage.begin(None).unwrap();
    second.write(b"1234").unwrap();
    thread::scope(|scope| {
        let first = scope.spawn(move || first.write(b"56789").and_then(|()| commit(first)));
        wait_until_one_waits(&stage, 1);
        assert_eq!(second.write(b"56789"), Err(StageError::Busy));
        drop(second);
        assert_eq!(first.join().unwrap(), Ok(FileId(1)));
    });
}

#[test]
fn nobody_waits_for_room_when_the_server_stops() {
    let stage = stage(10, LONG);
    let mut first = stage.begin(None).unwrap();
    first.write(b"123456").unwrap();
    thread::scope(|scope| {
        let second = scope.spawn(|| share(&stage, 5));
        wait_until_one_waits(&stage, 2);
        stage.begin_close();
        assert_eq!(second.join().unwrap(), Err(StageError::Busy));
    });
    assert_eq!(share(&stage, 4), Ok(FileId(1)));
}

#[test]
fn the_slowest_fetch_of_a_removed_file_is_ended_where_room_lacks() {
    let stage = stage(10, SHORT);
    let mut held = Vec::new();
    let (say, ended) = mpsc::channel();
    // Two files of 5 bytes are leaving: two fetch the first, slowly and fast, and one the second.
    for (nth, sent) in [(1, 0), (1, 1000), (2, 100)] {
        while stage.find(FileId(nth), EVE).is_err() {
            share(&stage, 5).unwrap();
        }
        let say = say.clone();
        let end = move || {
            let _ = say.send((nth, sent));
        };
        let (_, fetch) = stage.fetch(FileId(nth), EVE, end, || ()).unwrap();
        fetch.count_sent(sent);
        held.push(Some(fetch));
    }
    share(&stage, 10).unwrap();
    assert_eq!(total(&stage), 20);
    thread::scope(|scope| {
        let next = scope.spawn(|| share(&stage, 3));
        // The first file's faster fetch is the fastest of all: to end its slow one would be in vain.
        assert_eq!(ended.recv_timeout(Duration::from_secs(10)), Ok((2, 100)));
        held[2] = None;
        assert!(next.join().unwrap().is_ok());
    });
    assert!(ended.try_recv().is_err(), "one too many");
    // What was staged before is fetched by nobody, and is gone.
    assert_eq!(total(&stage), 8);
    held.clear();
    assert_eq!(total(&stage), 3);
}

#[test]
fn a_share_waits_in_vain_for_a_fetch_that_does_not_end_and_is_refused() {
    let stage = stage(10, SHORT);
    let calls = Arc::new(AtomicUsize::new(0));
    share(&stage, 10).unwrap();
    let counted = Arc::clone(&calls);
    let end = move || {
        counted.fetch_add(1, Ordering::Relaxed);
    };
    let (_, held) = stage.fetch(FileId(1), EVE, end, || ()).unwrap();
    share(&stage, 10).unwrap();
    assert_eq!(share(&stage, 1), Err(StageError::Busy));
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert_eq!(total(&stage), 20);
    drop(held);
    assert_eq!(total(&stage), 10);
    assert!(share(&stage, 1).is_ok());
}

#[test]
fn a_file_that_is_opened_while_it_is_removed_is_counted_to_its_end() {
    let stage = stage(10, LONG);
    share(&stage, 10).unwrap();
    let (_, held) = stage.fetch(FileId(1), EVE, || (), || ()).unwrap();
    stage.remove(FileId(1));
    assert_eq!((total(&stage), on_disk(&stage)), (10, 0));
    assert_eq!(held.file().metadata().unwrap().len(), 10);
    drop(held);
    assert_eq!(total(&stage), 0);
    // As long as somebody fetches it, it is what it was for others too; then it is found to be gone,
    // and given back.
    share(&stage, 10).unwrap();
    let (_, held) = stage.fetch(FileId(2), EVE, || (), || ()).unwrap();
    fs::remove_file(stage.dir.join("2.bin")).unwrap();
    let (_, other) = stage.fetch(FileId(2), EVE, || (), || ()).unwrap();
    drop(held);
    assert_eq!((total(&stage), on_disk(&stage)), (10, 0));
    assert_eq!(other.file().metadata().unwrap().len(), 10);
    drop(other);
    assert!(stage.fetch(FileId(2), EVE, || (), || ()).is_err());
    assert_eq!(total(&stage), 0);
}

#[test]
fn many_share_and_fetch_at_once_and_the_bound_holds() {
    // Real threads on a real directory; the count is looked at all the while.
    const LIMIT: u64 = 1000;
    let stage = stage(LIMIT, Duration::from_millis(20));
    let until = Instant::now() + Duration::from_secs(2);
    let peak = AtomicUsize::new(0);
    thread::scope(|scope| {
        for nth in 0..4_usize {
            let stage = &stage;
            scope.spawn(move || {
                for round in 0.. {
                    if Instant::now() > until {
                        break;
                    }
                    let mut arrival = stage.begin(None).unwrap();
                    let written = (0..4).try_for_each(|_| arrival.write(&[b'x'; 97]));
                    match (written, round % 7) {
                        (Ok(()), 1..) => drop(commit(arrival)),
                        (_, _) if nth == 0 => thread::sleep(Duration::from_millis(25)),
                        _ => {}
                    }
                }
            });
            scope.spawn(move || {
                while Instant::now() < until {
                    for (id, _) in stage.list(EVE) {
                        if let Ok((_, fetch)) = stage.fetch(id, EVE, || (), || ()) {
                            thread::sleep(Duration::from_millis(nth as u64));
                            fetch.count_sent(1);
                        }
                    }
                }
            });
        }
        scope.spawn(|| {
            while Instant::now() < until {
                let total = usize::try_from(total(&stage)).unwrap();
                peak.fetch_max(total, Ordering::Relaxed);
            }
        });
    });
    let peak = peak.into_inner() as u64;
    assert!(peak <= 2 * LIMIT, "{peak}");
    let ledger = stage.shared.ledger.lock();
    let staged: u64 = ledger.files().map(|(_, file)| file.len).sum();
    assert_eq!((ledger.total(), ledger.staged()), (staged, staged));
    drop(ledger);
    assert_eq!(on_disk(&stage), staged);
}

#[test]
fn a_share_is_slow_by_what_it_moves_in_a_stall_timeout() {
    // By a clock of its own: at which second how many bytes come, when that is looked at, and
    // whether it is too slow then.
    type Case = (&'static str, &'static [(u64, u64)], u64, bool);
    let pace = Pace { bytes: 100, time: Duration::from_secs(10) };
    let cases: [Case; 7] = [
        ("as fast as it has to be", &[(5, 50), (10, 50), (15, 50), (20, 50)], 21, false),
        ("half as fast", &[(5, 25), (10, 25), (15, 25)], 18, true),
        ("half as fast, and not for long", &[(5, 25), (10, 25), (15, 25)], 17, false),
        ("stands still from the start", &[(0, 1)], 10, true),
        ("not yet", &[(0, 1)], 9, false),
        ("was fast, and stands still", &[(1, 500), (2, 400)], 12, true),
        ("was fast not long ago", &[(1, 500), (2, 400)], 11, false),
    ];
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    for (name, steps, asked, is_slow) in cases {
        let mut ledger = Ledger::new(1000, pace);
        ledger.begin_share(1, open_file(), start);
        for &(second, bytes) in steps {
            assert!(matches!(ledger.reserve(1, bytes, at(second)), Room::Taken(_)), "{name}");
            ledger.let_go(1, Duration::ZERO);
        }
        ledger.begin_share(2, open_file(), at(asked));
        let room = ledger.reserve(2, 1000, at(asked));
        assert_eq!(matches!(room, Room::Discard(_)), is_slow, "{name}: {room:?}");
    }
}

#[test]
fn shares_are_refused_only_where_that_makes_enough_room() {
    let mut ledger = Ledger::new(100, Pace { bytes: 1, time: SHORT });
    let start = Instant::now();
    for (number, len) in [(1, 10), (2, 10), (3, 80)] {
        let since = if number == 3 { start + SHORT } else { start };
        ledger.begin_share(number, open_file(), since);
        assert!(matches!(ledger.reserve(number, len, since), Room::Taken(_)));
        ledger.let_go(number, Duration::ZERO);
    }
    ledger.begin_share(4, open_file(), start + SHORT);
    assert!(matches!(ledger.reserve(4, 21, start + SHORT), Room::Crowded));
    let Room::Discard(discards) = ledger.reserve(4, 10, start + SHORT) else { panic!("no room") };
    assert_eq!(discards.len(), 1);
    // One that is whole is never refused, nor is one that waits.
    ledger.begin_commit(if discards[0].number == 1 { 2 } else { 1 }).unwrap();
    assert!(matches!(ledger.reserve(4, 20, start + SHORT), Room::Crowded));
    let staged = Arc::new(StagedFile {
        extension: Extension::parse(b"bin").unwrap(),
        name: None,
        len: 80,
        from: TOM,
        to: None,
    });
    assert!(ledger.commit(3, FileId(1), Entry { staged, stored_as: None }).is_empty());
    assert_eq!(ledger.total(), 100);
    ledger.end_discard(discards[0].number, true);
    assert_eq!(ledger.total(), 90);
}

#[test]
fn what_is_counted_is_never_less_than_what_is_on_disk_whoever_is_first_to_have_done() {
    let mut ledger = Ledger::new(100, Pace { bytes: 1, time: SHORT });
    let start = Instant::now();
    let later = start + SHORT;
    for number in 1..=3 {
        let since = start + Duration::from_millis(number);
        ledger.begin_share(number, open_file(), since);
        assert!(matches!(ledger.reserve(number, 30, since), Room::Taken(_)));
        ledger.let_go(number, Duration::ZERO);
    }
    // The slowest comes to nothing by itself, and is being closed: it is neither refused nor waited
    // for without a pause, and another one makes place.
    let closing = ledger.close_share(1);
    ledger.begin_share(4, open_file(), later);
    assert!(matches!(ledger.reserve(4, 80, later + SHORT), Room::Crowded));
    let discard = ledger.make_place(later + SHORT).unwrap();
    assert_eq!((discard.number, ledger.total()), (2, 90));
    // Its own thread has done with it before its bytes are given back.
    ledger.end_share(2);
    assert_eq!(ledger.total(), 90);
    drop(discard);
    ledger.end_discard(2, true);
    assert_eq!(ledger.total(), 60);
    drop(closing);
    ledger.end_share(1);
    assert_eq!(ledger.total(), 30);
    // And the other way round, also where they could not be given back at once.
    for (number, is_given_back, left) in [(3, true, 0), (5, false, 30)] {
        if number == 5 {
            ledger.begin_share(5, open_file(), start);
            assert!(matches!(ledger.reserve(5, 30, start), Room::Taken(_)));
            ledger.let_go(5, Duration::ZERO);
        }
        let discard = ledger.make_place(later + SHORT).unwrap();
        assert_eq!(discard.number, number);
        ledger.end_discard(number, is_given_back);
        assert_eq!(ledger.total(), left);
        ledger.end_share(number);
        assert_eq!(ledger.total(), 0);
    }
}

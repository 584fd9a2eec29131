//! What goes beyond the draft: the history, which is kept of what everybody says, and members in the
//! extended form.

use std::io::{BufReader, Read as _, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use multichat::room::HISTORY_BYTES;
use multichat::wire::server_message::read_server_message;
use multichat::wire::{ServerMessage, Status};

use super::fanout::{Case, Party, Round};
use super::generator::STALL;
use super::mcmp::{self, EXTENDED, HALF_EXTENDED, MULTICHATD, NO_HISTORY};
use super::report::{Cell, Section, Wanted, median, ratio};
use super::subject::Running;
use super::{Bench, Outcome, fail, idle};

const ROUND: Duration = Duration::from_millis(500);

const MEMBERS: usize = 100;

const IDLE: usize = 10_000;

/// How many messages are kept where nothing else is asked for.
const KEPT: usize = 100;

/// How often somebody joins in a round.
const JOINS: usize = 20;

/// Measures all cases.
pub(crate) fn run(bench: &mut Bench) -> Outcome<()> {
    talk(bench)?;
    join(bench)?;
    hold(bench)
}

/// One member's texts: to plain members without and with a history, and to extended ones.
fn talk(bench: &mut Bench) -> Outcome<()> {
    let mut section = Section::new(
        "extended",
        "one member's 100-byte texts to 99 others; CPU is the server's, µs a delivery",
        &["in flight"],
        &[("k deliveries/s", 0), ("CPU µs", 3), ("x --history 0", 2), ("x plain", 2)],
    );
    for window in [1, 64] {
        let case = Case { members: MEMBERS, senders: 1, window };
        bench.say(&format!("extended: {case}"));
        let subjects = [NO_HISTORY, MULTICHATD, EXTENDED, HALF_EXTENDED];
        let start = |subject| Party::start(subject, case);
        let results = bench.interleave(&subjects, start, |party| party.round(ROUND), Party::end)?;
        let [off, plain] = [0, 1].map(|index| results[index].rounds.clone());
        for result in &results {
            let of = |figure: fn(&Round) -> f64| median(result.rounds.iter().map(figure));
            let to = |other: &[Round]| Cell::new(ratio(&result.rounds, other, |round| round.cpu));
            let cells = vec![
                Cell::new(of(|round| round.rate / 1e3)),
                Cell::new(of(|round| round.cpu)),
                to(&off),
                to(&plain),
            ];
            section.row(&[window.to_string()], result.name, cells, None);
        }
        let mut want = |subject: &str, column, unit| {
            let what = format!("{subject}, {case}: CPU a delivery");
            let measured = section.last(subject, column);
            bench.report.want(Wanted::at_most(what, measured, 1.05, unit));
        };
        want(MULTICHATD.name, 2, "x --history 0");
        want(EXTENDED.name, 3, "x plain");
    }
    bench.report.add(section);
    Ok(())
}

/// Somebody joins where as much is kept as may be.
fn join(bench: &mut Bench) -> Outcome<()> {
    bench.say("extended: joining a room with a full history");
    let running = (MULTICHATD.start)(JOINS)?;
    let mut section = Section::new(
        "joining",
        "from connecting until features, extended and the whole history are answered; ms",
        &["messages", "bytes each"],
        &[("ms", 2), ("slowest", 2), ("kB answered", 0)],
    );
    for len in [100, HISTORY_BYTES / KEPT - 200] {
        fill(&running, len)?;
        let mut times = Vec::new();
        let mut bytes = 0;
        for _ in 0..JOINS * bench.rounds {
            let start = Instant::now();
            bytes = ask(&running)?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        if bytes < KEPT * len {
            return fail(format!("{bytes} bytes of history, of {KEPT} texts of {len} bytes"));
        }
        let time = median(times.iter().copied());
        let cells = vec![
            Cell::new(time),
            Cell::new(times.iter().copied().fold(f64::NAN, f64::max)),
            Cell::new(bytes as f64 / 1024.0),
        ];
        section.row(&[KEPT.to_string(), len.to_string()], MULTICHATD.name, cells, None);
        let what = format!("joining where {KEPT} texts of {len} bytes are kept");
        bench.report.want(Wanted::at_most(what, Some(time), 5.0, "ms"));
    }
    bench.report.add(section);
    running.stop()
}

/// Says as many texts as are kept.
fn fill(running: &Running, len: usize) -> Outcome<()> {
    let mut stream = connect(running)?;
    let text = vec![b'x'; len];
    let mut said = Vec::new();
    for _ in 0..KEPT {
        mcmp::say_to_all(&text, &mut said);
    }
    stream.write_all(&said)?;
    let mut reader = BufReader::new(&stream);
    for _ in 0..KEPT {
        read_answer(&mut reader)?;
    }
    Ok(())
}

/// Connects as a client does that wants to know what was said; returns how long the history is.
fn ask(running: &Running) -> Outcome<usize> {
    let mut stream = connect(running)?;
    let mut asked = Vec::new();
    for body in ["features", "extended", &format!("history {KEPT}")] {
        mcmp::query(body.as_bytes(), &mut asked);
    }
    stream.write_all(&asked)?;
    let mut reader = BufReader::new(&stream);
    read_answer(&mut reader)?;
    read_answer(&mut reader)?;
    read_answer(&mut reader)
}

fn connect(running: &Running) -> Outcome<TcpStream> {
    let stream = TcpStream::connect(running.address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(STALL))?;
    Ok(stream)
}

/// Reads a response and its body; returns how long that is.
fn read_answer(reader: &mut BufReader<&TcpStream>) -> Outcome<usize> {
    let read = read_server_message(reader, &mut Vec::new());
    match read.map_err(|error| format!("{error:?}"))? {
        Some(ServerMessage::Response { status: Status::Ok, len, .. }) => {
            let mut body = vec![0; usize::try_from(len)?];
            reader.read_exact(&mut body)?;
            Ok(body.len())
        }
        other => fail(format!("{other:?} and not an answer")),
    }
}

/// Holds idle members of both kinds.
fn hold(bench: &mut Bench) -> Outcome<()> {
    let mut section = Section::new(
        "extended, idle",
        "connected and answered once; bytes a client",
        &["clients"],
        &[("resident bytes", 0)],
    );
    let mut resident = Vec::new();
    for subject in [MULTICHATD, EXTENDED] {
        bench.say(&format!("extended: {IDLE} idle, {}", subject.name));
        let bytes = idle::resident(subject, IDLE)?;
        section.row(&[IDLE.to_string()], subject.name, vec![Cell::new(bytes)], None);
        resident.push(bytes);
    }
    let what = format!("{IDLE} idle, extended: resident beside a plain member");
    let more = Some(resident[1] - resident[0]);
    bench.report.want(Wanted::at_most(what, more, 200.0, "bytes more"));
    bench.report.add(section);
    Ok(())
}

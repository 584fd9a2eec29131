//! A bad cable: carries packets between two sockets, late, not all of them, and only so fast.
//!
//! `air DIRECTORY DELAY_MS LOSS_PERCENT KBIT` takes what comes to `DIRECTORY/from-near` to
//! `DIRECTORY/far`, and what comes to `from-far` to `near`. Where the kernel has `netem` it can do the
//! same; not every kernel has.

use std::env;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// How many packets are held at a time; what comes then is lost, as with any router.
const HELD_LIMIT: usize = 1000;

/// How long a packet may wait for those before it: those that would wait longer are lost.
const WAIT_LIMIT: Duration = Duration::from_secs(1);

const PACKET_BYTES: usize = 64 * 1024;

#[derive(Clone, Copy)]
struct Quality {
    delay: Duration,
    loss_percent: u64,
    bits_per_second: u64,
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().collect();
    let [_, dir, numbers @ ..] = arguments.as_slice() else { panic!("no directory") };
    let numbers: Vec<u64> =
        numbers.iter().map(|number| number.parse().expect("a number")).collect();
    let [delay, loss_percent, kbit] = numbers[..] else { panic!("not three numbers") };
    let quality =
        Quality { delay: Duration::from_millis(delay), loss_percent, bits_per_second: kbit * 1000 };
    let dir = Path::new(dir);
    let near = UnixDatagram::bind(dir.join("from-near"))?;
    let far = UnixDatagram::bind(dir.join("from-far"))?;
    thread::scope(|scope| {
        scope.spawn(|| carry(&near, &dir.join("far"), quality));
        scope.spawn(|| carry(&far, &dir.join("near"), quality));
    });
    Ok(())
}

/// Carries packets in one direction, for ever.
fn carry(from: &UnixDatagram, to: &Path, quality: Quality) {
    let (held, due) = sync_channel(HELD_LIMIT);
    thread::scope(|scope| {
        scope.spawn(|| hold(from, &held, quality));
        scope.spawn(move || hand_over(&due, to));
    });
}

/// Decides what becomes of each packet, and when it is due.
fn hold(from: &UnixDatagram, held: &SyncSender<(Instant, Vec<u8>)>, quality: Quality) {
    let mut packet = vec![0; PACKET_BYTES];
    let mut free = Instant::now();
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    loop {
        let len = from.recv(&mut packet).expect("packets come for ever");
        let now = Instant::now();
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        free = free.max(now);
        if dice % 100 < quality.loss_percent || free - now > WAIT_LIMIT {
            continue;
        }
        free += Duration::from_nanos(len as u64 * 8 * 1_000_000_000 / quality.bits_per_second);
        // One that is too many is lost.
        let _ = held.try_send((free + quality.delay, packet[..len].to_vec()));
    }
}

fn hand_over(due: &Receiver<(Instant, Vec<u8>)>, to: &Path) {
    let socket = UnixDatagram::unbound().expect("a socket");
    for (due, packet) in due {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        // Lost where nobody is there to take it.
        let _ = socket.send_to(&packet, to);
    }
}

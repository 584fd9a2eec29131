//! Files: shared and fetched by ten clients at a time, each with a connection and a thread.

mod content;
mod floor;
mod mcmp;

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use self::content::Content;
pub(crate) use self::floor::{ARGUMENT, run as run_floor};
pub(crate) use self::mcmp::BEFORE;
use super::report::{Cell, Section, Wanted, median, ratio};
use super::subject::{Candidate, Running};
use super::{Bench, Outcome};

/// Who is measured; the floor comes first.
pub(crate) const SERVERS: [FileServer; 2] = [floor::FLOOR, mcmp::MULTICHATD];

/// How much a client reads at a time.
pub(crate) const READ_BYTES: usize = 256 * 1024;

/// How many clients there are.
pub(crate) const CLIENTS: usize = 10;

/// How large files are, and how often each client shares and fetches one in a round.
const SIZES: [Size; 3] = [
    Size { name: "10 kB", len: 10 << 10, shares: 100, fetches: 400 },
    Size { name: "1 MiB", len: 1 << 20, shares: 10, fetches: 40 },
    Size { name: "16 MiB", len: 16 << 20, shares: 2, fetches: 5 },
];

#[derive(Clone, Copy)]
struct Size {
    name: &'static str,
    len: u64,
    shares: usize,
    fetches: usize,
}

/// A server of files to be measured.
#[derive(Clone, Copy)]
pub(crate) struct FileServer {
    pub(crate) name: &'static str,
    pub(crate) is_peer: bool,
    pub(crate) start: fn() -> Outcome<Running>,
    /// Connects client number `client`, whose files will all be of that length.
    pub(crate) connect: fn(address: SocketAddr, client: usize, len: u64) -> Outcome<Box<dyn Store>>,
}

impl Candidate for FileServer {
    fn name(&self) -> &'static str {
        self.name
    }

    fn is_peer(&self) -> bool {
        self.is_peer
    }
}

/// A client's connection to a server of files.
pub(crate) trait Store: Send {
    /// Shares a file; returns once the server has it.
    ///
    /// `Ok(false)`: this server takes none.
    fn share(&mut self, content: Content) -> Outcome<bool>;

    /// Fetches the file that it has shared last, or that was there before, and looks at every byte.
    fn fetch(&mut self) -> Outcome<()>;
}

struct Party {
    running: Running,
    clients: Vec<Box<dyn Store>>,
    /// How many files were shared, so that no two are alike.
    shared: usize,
}

/// What a round came to, sharing and fetching.
struct Round {
    share: Option<Flow>,
    fetch: Flow,
    /// The most memory so far, in bytes.
    peak: u64,
}

#[derive(Clone, Copy)]
struct Flow {
    /// MB a second, of 10^6 bytes.
    rate: f64,
    /// The server's processor time a MB, in ms.
    cpu: f64,
}

impl Party {
    fn start(server: FileServer, size: Size) -> Outcome<Party> {
        let running = (server.start)()?;
        let clients =
            (0..CLIENTS).map(|client| (server.connect)(running.address, client, size.len));
        let clients = clients.collect::<Outcome<_>>()?;
        Ok(Party { running, clients, shared: 0 })
    }

    fn round(&mut self, size: Size) -> Outcome<Round> {
        let first = self.shared;
        self.shared += CLIENTS * size.shares;
        let (share, any) = self.flow(size.len, size.shares, |client, index, turn| {
            let content = Content { number: first + index * size.shares + turn, len: size.len };
            client.share(content)
        })?;
        let (fetch, _) = self.flow(size.len, size.fetches, |client, _, _| {
            client.fetch()?;
            Ok(true)
        })?;
        Ok(Round { share: any.then_some(share), fetch, peak: self.running.memory("VmHWM")? })
    }

    /// Has each client do something so many times, all clients at once. Returns also whether they
    /// could.
    fn flow(
        &mut self,
        len: u64,
        turns: usize,
        act: impl Fn(&mut dyn Store, usize, usize) -> Outcome<bool> + Sync,
    ) -> Outcome<(Flow, bool)> {
        let cpu = self.running.cpu()?;
        let start = Instant::now();
        let acted = thread::scope(|scope| {
            let act = &act;
            let clients = self.clients.iter_mut().enumerate().map(|(index, client)| {
                scope.spawn(move || {
                    let mut acted = (0..turns).map(|turn| act(&mut **client, index, turn));
                    acted.try_fold(true, |all, this| Ok(all & this.map_err(|e| e.to_string())?))
                })
            });
            let clients: Vec<_> = clients.collect();
            let ended = clients.into_iter().map(|client| client.join());
            ended.map(|end| end.unwrap_or_else(|_| Err("a client panicked".to_string()))).collect()
        });
        let acted: Result<Vec<bool>, String> = acted;
        let could = acted?.into_iter().all(|could| could);
        let elapsed = start.elapsed();
        let megabytes = (len * (turns * CLIENTS) as u64) as f64 / 1e6;
        let per = |time: Duration| time.as_secs_f64() * 1e3 / megabytes;
        let rate = megabytes / elapsed.as_secs_f64();
        Ok((Flow { rate, cpu: per(self.running.cpu()? - cpu) }, could))
    }
}

/// Measures all cases.
pub(crate) fn run(bench: &mut Bench) -> Outcome<()> {
    let mut section = Section::new(
        "files",
        "10 clients at a time; MB of 10^6 bytes, the server's CPU in ms a MB, its peak memory in MB",
        &["  size"],
        &[
            ("share MB/s", 0),
            ("x floor", 2),
            ("share CPU", 3),
            ("fetch MB/s", 0),
            ("x floor", 2),
            ("fetch CPU", 3),
            ("peak MB", 1),
        ],
    );
    let mut peaks = Vec::new();
    for size in SIZES {
        measure(bench, &mut section, size)?;
        peaks.push(section.last("multichatd", 6));
    }
    let rate = |subject| section.last(subject, 3);
    let to_nginx = rate("multichatd").zip(rate("nginx")).map(|(own, nginx)| own / nginx);
    let what = "fetch of 16 MiB files by 10 clients: MB/s".to_string();
    bench.report.want(Wanted::at_least(what, to_nginx, 1.0, "x nginx"));
    let growth = peaks[2].zip(peaks[1]).map(|(large, small)| large - small);
    let what = "peak memory with 16 MiB files, beyond that with 1 MiB".to_string();
    bench.report.want(Wanted::at_most(what, growth, 2.0, "MB"));
    bench.report.add(section);
    Ok(())
}

fn measure(bench: &mut Bench, section: &mut Section, size: Size) -> Outcome<()> {
    bench.say(&format!("files: {}", size.name));
    let start = |server| Party::start(server, size);
    let end = |party: Party| {
        drop(party.clients);
        party.running.stop()
    };
    let servers = bench.file_servers.clone();
    let results = bench.interleave(&servers, start, |party| party.round(size), end)?;
    let name = format!("files, {}", size.name);
    let share =
        |of: fn(&Flow) -> f64| move |round: &Round| round.share.as_ref().map_or(f64::NAN, of);
    bench.compare(&name, "share MB/s", &results, share(|flow| flow.rate));
    bench.compare(&name, "share CPU, ms a MB", &results, share(|flow| flow.cpu));
    bench.compare(&name, "fetch MB/s", &results, |round: &Round| round.fetch.rate);
    bench.compare(&name, "fetch CPU, ms a MB", &results, |round: &Round| round.fetch.cpu);
    let floor = &results[0].rounds;
    for result in &results {
        let rounds = &result.rounds;
        let of = |figure: fn(&Round) -> f64| Cell::new(median(rounds.iter().map(figure)));
        let to_floor = |figure: fn(&Round) -> f64| Cell::new(ratio(rounds, floor, figure));
        let share_rate = |round: &Round| round.share.map_or(f64::NAN, |share| share.rate);
        let cells = vec![
            of(share_rate),
            to_floor(share_rate),
            of(|round| round.share.map_or(f64::NAN, |share| share.cpu)),
            of(|round| round.fetch.rate),
            to_floor(|round| round.fetch.rate),
            of(|round| round.fetch.cpu),
            Cell::new(rounds.last().map_or(f64::NAN, |round| round.peak as f64 / 1e6)),
        ];
        section.row(&[size.name.to_string()], result.name, cells, result.failure.clone());
    }
    Ok(())
}

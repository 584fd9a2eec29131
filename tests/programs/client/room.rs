//! The room on a terminal under attack and under strain: hostile nicknames, floods, windows that
//! change their size, signals, files that take their time.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command as Program, Stdio};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use pty_process::Size;
use tempfile::TempDir;

use super::fake::{Asked, Fake};
use super::terminal::{
    CTRL_C, CTRL_D, MULTICHAT, ROWS, TAB, Terminal, cells, peer_called, program,
};
use super::wait_until;
use crate::common::{DEADLINE, LONG_DEADLINE, Server};

#[test]
fn no_nickname_makes_a_command_of_a_line() {
    // A stranger chooses the nickname, Tab completes it, Enter would carry it out.
    let server = Server::start();
    let _evil: Vec<_> = ["/share id_rsa 1", "/quit", "//quit", "quit"]
        .map(|nickname| peer_called(&server, nickname))
        .into();
    let mut tom = server.join();
    for keys in ["", " ", "/", " /", "x"] {
        let mut terminal = Terminal::join(&server, &[]);
        fs::write(terminal.path("id_rsa"), "secret").unwrap();
        terminal.type_in(format!("{keys}{TAB}{TAB}\rdone\r"));
        loop {
            let relay = tom.relay();
            assert!(!relay.has("File-ID"), "{keys:?}: {relay:?}");
            if relay.text().ends_with("done") {
                break;
            }
        }
        terminal.type_in(format!("{CTRL_C}{CTRL_D}"));
        assert_eq!(terminal.wait_for_end(), 0);
    }
    assert!(tom.query("files").ok().text().is_empty());
}

#[test]
fn a_nickname_that_begins_with_a_uid_does_not_get_what_is_for_that_uid() {
    let server = Server::start();
    let (mut tom, mut evil) = (peer_called(&server, "Tom"), peer_called(&server, "1 hi"));
    let mut terminal = Terminal::join(&server, &[]);
    terminal.type_in(format!("/msg 1 {TAB}"));
    terminal.wait_for_line("> /msg 2");
    terminal.type_in("for you\r");
    assert_eq!(evil.relay().text(), "for you");
    tom.expect_nothing();
}

#[test]
fn what_may_have_been_meant_as_a_command_is_never_said() {
    let server = Server::start();
    let mut tom = peer_called(&server, "Tom");
    let mut ann = peer_called(&server, "Ann");
    let mut terminal = Terminal::join(&server, &[]);
    terminal.type_in(" /msg Tom my secret\r");
    let relay = tom.relay();
    assert_eq!((relay.text(), relay.field("To")), ("my secret", "1"));
    terminal.type_in("\u{a0}/mgs Tom my secret\r");
    terminal.wait_for("/mgs: unknown command, not sent");
    terminal.type_in("quit\r");
    terminal.wait_for("not sent: /quit leaves; enter it once more to say it");
    terminal.type_in("help\r");
    terminal.wait_for("not sent: /help lists the commands");
    terminal.type_in("exit\rexit\r");
    assert_eq!(ann.relay().text(), "exit");
    terminal.type_in("//me waves\r");
    assert_eq!(ann.relay().text(), "/me waves");
    ann.expect_nothing();
}

/// A server that answers the first query and says the same text as fast as it can, for a while, and
/// then that it is done; the receiver hears of it as well.
fn flood(time: Duration) -> (SocketAddr, Receiver<()>) {
    let (done, ended) = unbounded();
    let text = "a text of some words, as people say them";
    let relay = format!(
        "Message-Type chat\r\nFrom 7\r\nSender-Nickname Tom\r\nContent-Type text\r\n\
         Content-Length {}\r\n\r\n{text}",
        text.len()
    );
    let relays = relay.repeat(500);
    let address = Fake::serve(move |client| {
        client.begin();
        let until = Instant::now() + time;
        while Instant::now() < until && client.try_send(&relays) {}
        client.send(
            "Message-Type chat\r\nFrom 7\r\nContent-Type text\r\nContent-Length 9\r\n\r\nall of it",
        );
        let _ = done.send(());
        while client.next().is_some() {}
    });
    (address, ended)
}

/// The most memory that a program has had, in kB.
fn peak_of(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("its peak");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).expect("a number")
}

#[test]
fn a_flood_is_counted_and_costs_no_memory_on_a_terminal_that_reads() {
    let (address, _) = flood(Duration::from_secs(3));
    let mut terminal = Terminal::start_at(address, &[], &[]);
    terminal.wait_for("7 Tom: a text of some words");
    // A line can be typed in the midst of it.
    terminal.type_in("half a line");
    terminal.wait_for_line("> half a line");
    terminal.wait_within(LONG_DEADLINE, "7: all of it", |text| text.contains("7: all of it"));
    assert!(peak_of(terminal.child.id()) < 100_000, "{} kB", peak_of(terminal.child.id()));
}

#[test]
fn a_flood_is_counted_and_costs_no_memory_on_a_terminal_that_is_stopped() {
    let (address, ended) = flood(Duration::from_secs(3));
    let mut terminal = Terminal::start_at(address, &[], &[]);
    terminal.wait_for("7 Tom: a text of some words");
    // Nobody reads what it writes while the flood comes; Ctrl-S, and then Ctrl-Q.
    terminal.type_in("\x13");
    ended.recv_timeout(LONG_DEADLINE).expect("the end of the flood");
    terminal.type_in("\x11");
    terminal.wait_within(LONG_DEADLINE, "7: all of it", |text| text.contains("7: all of it"));
    let came = String::from_utf8_lossy(&terminal.came).into_owned();
    assert!(came.contains(" lines not shown"), "nothing was counted");
    assert!(peak_of(terminal.child.id()) < 100_000, "{} kB", peak_of(terminal.child.id()));
}

#[test]
fn a_new_width_takes_away_nothing_that_has_arrived() {
    // A terminal that cuts off what it shows, and never lays it out anew.
    let server = Server::start();
    let mut tom = peer_called(&server, "Tom");
    let mut terminal = Terminal::join(&server, &[]);
    terminal.resize(40);
    for text in ["first", "second", "third"] {
        tom.say(text).ok();
        terminal.wait_for(text);
    }
    let line = "half a line that is longer than a row of forty";
    terminal.type_in(line);
    terminal.wait_for("of forty");
    for columns in [100, 30, 60, 25, 80] {
        terminal.resize(columns);
        terminal.type_in("x\x7f");
        tom.say(format!("at {columns}")).ok();
        terminal.wait_for(&format!("at {columns}"));
        for text in ["Tom: first", "Tom: second", "Tom: third"] {
            terminal.wait_for(text);
        }
    }
    terminal.type_in("\r");
    assert_eq!(tom.relay().text(), line);
}

/// A terminal that lays out anew what it shows when its width changes, as most do: tmux.
struct Tmux {
    dir: TempDir,
}

impl Tmux {
    /// Runs multichat in a window of so many columns; `None`, and said so, where there is no tmux.
    fn start(server: &Server, columns: u16) -> Option<Tmux> {
        let tmux = Tmux { dir: TempDir::new().expect("a temporary directory") };
        let command = format!("{MULTICHAT} --server {}", server.address);
        let columns = columns.to_string();
        let arguments = [
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-s",
            "x",
            "-x",
            &columns,
            "-y",
            "20",
            &command,
        ];
        if tmux.run(&arguments).is_none() {
            eprintln!("skipped: there is no tmux");
            return None;
        }
        Some(tmux)
    }

    fn run(&self, arguments: &[&str]) -> Option<String> {
        let mut command = Program::new("tmux");
        command.arg("-S").arg(self.dir.path().join("socket")).args(arguments).stdin(Stdio::null());
        let output = command.env("TERM", "xterm-256color").env_remove("TMUX").output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    #[track_caller]
    fn wait_for(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        let mut last = String::new();
        let until = Instant::now() + DEADLINE;
        while Instant::now() < until {
            last = self.run(&["capture-pane", "-p", "-t", "x"]).expect("its screen");
            if is_so(&last) {
                return;
            }
        }
        panic!("no {what:?} on the screen:\n{last}");
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = self.run(&["kill-server"]);
    }
}

#[test]
fn a_terminal_that_lays_out_anew_loses_nothing_and_shows_the_line_once() {
    let server = Server::start();
    let mut tom = peer_called(&server, "Tom");
    let Some(tmux) = Tmux::start(&server, 40) else { return };
    tmux.wait_for("a prompt", |screen| screen.contains("/help") && screen.contains("\n>"));
    for text in ["first", "second", "third"] {
        tom.say(text).ok();
    }
    let line = "half a line that is longer than a row of forty";
    tmux.run(&["send-keys", "-t", "x", "-l", line]).expect("type");
    tmux.wait_for("the line", |screen| screen.contains("forty"));
    for columns in ["100", "30", "60", "25", "100"] {
        tmux.run(&["resize-window", "-t", "x", "-x", columns]).expect("another width");
        tmux.wait_for(columns, |screen| {
            let has_all = ["Tom: first\n", "Tom: second\n", "Tom: third\n"]
                .iter()
                .all(|text| screen.contains(text));
            let joined = screen.replace('\n', "");
            has_all && joined.matches("> half a line").count() == 1 && joined.contains(line)
        });
        // The program has drawn the line anew before it shows what comes next.
        tom.say(format!("at {columns}")).ok();
        tmux.wait_for("the next text", |screen| screen.contains(&format!("at {columns}\n")));
    }
}

#[test]
fn a_program_that_was_stopped_and_continued_shows_its_line_again() {
    let server = Server::start();
    let mut tom = server.join();
    // A shell that takes its terminal back from a program that cannot have given it back.
    let shell = program("bash").args(["--norc", "-i"]).env("PS1", "$ ");
    let mut terminal = Terminal::join_from(shell, &server, ":");
    terminal.type_in("half of a li");
    terminal.wait_for_line("> half of a li");
    let shell = terminal.child.id();
    let children = fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap();
    let pid = children.trim().parse().expect("one child");
    let signal = |signal| {
        let pid = rustix::process::Pid::from_raw(pid).expect("a process");
        rustix::process::kill_process(pid, signal).expect("send a signal");
    };
    signal(rustix::process::Signal::STOP);
    terminal.wait_for_line("$");
    tom.say("meanwhile").ok();
    signal(rustix::process::Signal::CONT);
    terminal.type_in("fg\r");
    terminal.wait_for("1: meanwhile");
    terminal.wait_for_line("> half of a li");
    terminal.type_in("ne\r");
    assert_eq!(tom.relay().text(), "half of a line");
}

#[test]
fn a_program_behind_a_pipe_edits_lines_and_the_pipe_gets_what_arrives() {
    let server = Server::start();
    let mut tom = peer_called(&server, "Tom");
    let shell = program("sh").arg("-i").env("PS1", "$ ");
    let mut terminal = Terminal::start_program(shell);
    terminal.wait_for_line("$");
    terminal.type_in(format!("{MULTICHAT} --server {} | tee log\r", server.address));
    terminal.wait_for("/help tells");
    terminal.type_in("hel_\x7flo");
    tom.say_to(2, "psst").ok();
    terminal.wait_for("(to you) 1 Tom: psst");
    terminal.wait_for_line("> hello");
    terminal.type_in("\r/who\r");
    assert_eq!(tom.relay().text(), "hello");
    terminal.wait_for("* 2");
    terminal.type_in(CTRL_D);
    terminal.wait_for_line("$");
    let log = fs::read_to_string(terminal.path("log")).unwrap();
    assert!(log.ends_with(" (to you) 1 Tom: psst\n") && log.lines().count() == 1, "{log:?}");
}

#[test]
fn tab_does_not_wait_for_a_file_that_is_being_sent() {
    // The server takes the header of a file, and nothing of it.
    let address = Fake::serve(|client| {
        while let Some(asked) = client.next_without_chat() {
            let is_chat = asked.message_type == "chat";
            client.send(
                "Message-Type chat\r\nFrom 7\r\nSender-Nickname Tom\r\nContent-Type text\r\n\
                 Content-Length 2\r\n\r\nhi",
            );
            if is_chat {
                std::thread::park();
            }
            client.respond(&asked, "Ok", "");
        }
    });
    let mut terminal = Terminal::start_at(address, &[], &[]);
    terminal.wait_for("/help tells");
    let file = fs::File::create(terminal.path("large.bin")).unwrap();
    file.set_len(1 << 30).unwrap();
    terminal.type_in("/share large.bin\r");
    // What the server says once it has read the header.
    terminal.wait_within(DEADLINE, "an answer", |text| {
        text.split_once("/share large.bin").is_some_and(|(_, behind)| behind.contains("7 Tom: hi"))
    });
    let typed = Instant::now();
    // The nickname of a message that has arrived is known all the same.
    terminal.type_in(format!("/msg T{TAB}"));
    terminal.wait_for_line("> /msg Tom");
    assert!(typed.elapsed() < Duration::from_millis(1500), "{:?}", typed.elapsed());
    terminal.type_in("hi\r");
    terminal.wait_for("this waits until the file is through");
}

#[test]
fn a_file_over_the_servers_limit_is_refused_before_it_is_sent() {
    let server = Server::with(&["--max-file", "1k"]);
    let mut terminal = Terminal::join(&server, &[]);
    fs::write(terminal.path("small.bin"), [0; 2000]).unwrap();
    let large = fs::File::create(terminal.path("large.bin")).unwrap();
    large.set_len(17 << 20).unwrap();
    terminal.type_in("/share large.bin\r");
    terminal.wait_for("over the");
    assert!(!String::from_utf8_lossy(&terminal.came).contains("100 %"));
    terminal.type_in("/share small.bin\r");
    terminal.wait_for("small.bin: ");
    // Whatever had to be given up for it, one is in the room.
    let mut tom = server.join();
    terminal.type_in("still here\r");
    assert_eq!(tom.relay().text(), "still here");
}

#[test]
fn files_are_completed_whatever_is_in_their_names() {
    let server = Server::start();
    let mut tom = peer_called(&server, "Tom");
    let dir = TempDir::new().unwrap();
    let home = dir.path().to_str().unwrap();
    let mut terminal = Terminal::start_with(&server, &[], &[("HOME", home)]);
    terminal.wait_for("/help tells");
    for name in ["odd @$;{<>|&=(.txt", "other's name.txt"] {
        fs::write(terminal.path(name), "x").unwrap();
        terminal.type_in(format!("/share {}{TAB}", &name[..3]));
        terminal.wait_for_line(&format!("> /share {name}"));
        terminal.type_in(" Tom\r");
        assert_eq!(tom.relay().field("To"), "1");
    }
    fs::write(dir.path().join("at home.txt"), "x").unwrap();
    terminal.type_in(format!("/share ~/at{TAB}"));
    terminal.wait_for_line("> /share ~/at home.txt");
    terminal.type_in("\r");
    assert_eq!(tom.relay().field("File-ID"), "3");
}

#[test]
fn a_private_room_is_with_one_client_alone() {
    let server = Server::start();
    let (mut tom, mut ann) = (peer_called(&server, "Tom"), peer_called(&server, "Ann"));
    let terminal = Terminal::join(&server, &["-t", "Tom"]);
    terminal.type_in("psst\r");
    let relay = tom.relay();
    assert_eq!((relay.text(), relay.field("To")), ("psst", "1"));
    ann.expect_nothing();
    let mut terminal = Terminal::start(&server, &["-t", "Eve"]);
    terminal.wait_for("nobody here is called Eve");
    assert_eq!(terminal.wait_for_end(), 1);
}

#[test]
fn what_is_said_is_kept_where_the_person_wants_it_and_nobody_else_reads_it() {
    let server = Server::start();
    let mut tom = peer_called(&server, "Tom");
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("log");
    let log = path.to_str().unwrap();
    let mut terminal = Terminal::join(&server, &["-n", "Ann", "--log", log]);
    tom.say_to(2, "two\nlines").ok();
    terminal.wait_for("lines");
    terminal.type_in("hello\r");
    assert_eq!(tom.relay().text(), "hello");
    terminal.type_in("/msg Tom psst\r");
    assert_eq!(tom.relay().text(), "psst");
    terminal.type_in(CTRL_D);
    assert_eq!(terminal.wait_for_end(), 0);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let kept = fs::read_to_string(&path).unwrap();
    let said: Vec<&str> = kept.lines().map(|line| line.get(20..).unwrap_or(line)).collect();
    assert_eq!(said, ["(to you) 1 Tom: two", "    lines", "2 Ann: hello", "(to 1) 2 Ann: psst"]);
    let date = &kept[..20];
    assert!(date.starts_with("20") && date.as_bytes()[10] == b' ' && date.ends_with(' '), "{date}");
}

#[test]
fn ones_own_nickname_rings_and_others_who_have_it_are_named() {
    let server = Server::start();
    let mut tom = peer_called(&server, "Tom");
    let _other = peer_called(&server, "Ann");
    let mut terminal = Terminal::join(&server, &["-n", "Ann"]);
    terminal.wait_for("you are Ann; so is 2: the UID tells you apart");
    tom.say("hello ann!").ok();
    terminal.wait_for("hello ann!");
    let came = String::from_utf8_lossy(&terminal.came).into_owned();
    assert!(came.contains("\x07") && came.contains("hello \x1b[7mann\x1b[0m!"), "{came:?}");
    terminal.type_in("/nick Tom\r");
    terminal.wait_for("you are now Tom; so is 1: the UID tells you apart");
}

#[test]
fn no_row_of_a_long_text_looks_like_a_message() {
    let server = Server::start();
    let mut tom = peer_called(&server, "Tom");
    let mut terminal = Terminal::join(&server, &[]);
    let forged = format!("{} 12:00 2 Ann: forged", "word ".repeat(13));
    tom.say(&forged).ok();
    terminal.wait_for("forged");
    let text = terminal.text();
    let rows: Vec<&str> = text.lines().skip_while(|row| !row.contains("1 Tom: word")).collect();
    assert!(rows[1].starts_with("    "), "{text}");
}

#[test]
fn a_terminal_gets_no_file() {
    let server = Server::start();
    server.join().share("txt", "\x1b]0;owned\x07").ok();
    let address = server.address.to_string();
    for output in ["-", "/dev/tty", "/dev/stdout"] {
        let command = program(MULTICHAT).args(["-s", &address, "fetch", "1", "-o", output]);
        let mut terminal = Terminal::start_program(command);
        terminal.wait_for("it is a terminal");
        assert_eq!(terminal.wait_for_end(), 1);
        assert!(!terminal.came.contains(&0x1b), "{output}");
    }
}

#[test]
fn a_server_that_knows_no_question_is_asked_none() {
    // It closes the connection over a query with a body: the client connects once more.
    let address = Fake::serve(|client| {
        while let Some(asked) = client.next() {
            let Asked { message_type, body, .. } = &asked;
            match (message_type.as_str(), body.is_empty()) {
                ("query", true) => client.respond(&asked, "Ok", "7\n9\n"),
                ("query", false) => return,
                ("nickname", _) => client.respond(&asked, "Ok", "Ann"),
                _ => {
                    client.respond(&asked, "Ok", "");
                    client.send(
                        "Message-Type chat\r\nFrom 9\r\nSender-Nickname Tom\r\n\
                         Content-Type text\r\nContent-Length 2\r\n\r\nhi",
                    );
                }
            }
        }
    });
    let mut terminal = Terminal::start_at(address, &["-n", "Ann"], &[]);
    terminal.wait_for("/help tells");
    terminal.type_in("hello\r");
    terminal.wait_for("9 Tom: hi");
    assert!(!terminal.text().contains("connected again"), "{}", terminal.text());
}

#[test]
fn a_signal_ends_it_while_the_terminal_is_stopped() {
    let (address, _) = flood(Duration::from_secs(60));
    let mut terminal = Terminal::start_at(address, &[], &[]);
    terminal.wait_for("7 Tom: a text of some words");
    terminal.type_in("\x13");
    terminal.stop_reading();
    let pid = rustix::process::Pid::from_child(&terminal.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("end it");
    wait_until("it has ended", || terminal.child.try_wait().expect("wait for it").is_some());
}

#[test]
fn a_window_of_any_size_will_do() {
    let server = Server::start();
    let mut tom = peer_called(&server, "Tom");
    let mut terminal = Terminal::join(&server, &[]);
    for (rows, columns) in [(1, 1), (2, 5), (ROWS, 7), (1, 200), (ROWS, 80)] {
        terminal.pty.resize(Size::new(rows, columns)).expect("set its size");
        terminal.screen.screen_mut().set_size(cells(rows), cells(columns));
        terminal.type_in(format!("x{}", "y".repeat(50)));
        tom.say("some words").ok();
        terminal.type_in("\r");
        assert!(tom.relay().text().ends_with('y'));
    }
    tom.say("at last").ok();
    terminal.wait_for("1 Tom: at last");
}

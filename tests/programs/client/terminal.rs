//! The room on a terminal: the program in a pseudo terminal, and what its screen shows.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::num::NonZero;
use std::process::Child;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};
use tempfile::TempDir;

use super::fake::Fake;
use super::wait_until;
use crate::common::{DEADLINE, Peer, Server, assert_same_bytes, pattern};

pub(super) const ROWS: u16 = 24;
const COLUMNS: u16 = 80;
pub(super) const MULTICHAT: &str = env!("CARGO_BIN_EXE_multichat");
pub(super) const CTRL_C: &str = "\x03";
pub(super) const CTRL_D: &str = "\x04";
const CTRL_Z: &str = "\x1a";
const UP: &str = "\x1b[A";
pub(super) const TAB: &str = "\t";

pub(super) fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).expect("a terminal has cells")
}

/// A program as the tests' environment does not change it.
pub(super) fn program(name: &str) -> Command {
    Command::new(name)
        .env_remove("MULTICHAT_NICK")
        .env_remove("NO_COLOR")
        .env("TERM", "xterm-256color")
}

/// A terminal with `multichat` in it.
pub(super) struct Terminal {
    pub(super) pty: Arc<Pty>,
    pub(super) child: Child,
    coming: Receiver<Vec<u8>>,
    pub(super) screen: vt100::Parser,
    /// All that has come, escape sequences included.
    pub(super) came: Vec<u8>,
    dir: TempDir,
}

impl Terminal {
    pub(super) fn start(server: &Server, arguments: &[&str]) -> Terminal {
        Terminal::start_with(server, arguments, &[])
    }

    pub(super) fn start_with(
        server: &Server,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Terminal {
        Terminal::start_at(server.address, arguments, variables)
    }

    pub(super) fn start_at(
        address: SocketAddr,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Terminal {
        let command = program(MULTICHAT)
            .envs(variables.iter().copied())
            .args(["--server", &address.to_string()])
            .args(arguments);
        Terminal::start_program(command)
    }

    pub(super) fn start_program(command: Command) -> Terminal {
        let dir = TempDir::new().expect("a temporary directory");
        let (pty, pts) = open().expect("a pseudo terminal");
        pty.resize(Size::new(ROWS, COLUMNS)).expect("set its size");
        let child = command.current_dir(dir.path()).spawn(pts).expect("start the program");
        let pty = Arc::new(pty);
        let (send, coming) = unbounded();
        let reading = Arc::clone(&pty);
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            // Ends with an error once the program has ended.
            while let Ok(len) = (&*reading).read(&mut chunk) {
                if send.send(chunk[..len].to_vec()).is_err() {
                    return;
                }
            }
        });
        let screen = vt100::Parser::new(cells(ROWS), cells(COLUMNS), 0);
        Terminal { pty, child, coming, screen, came: Vec::new(), dir }
    }

    /// Starts it from a shell that carries out something else first, and waits until it has joined.
    #[track_caller]
    pub(super) fn join_from_shell(server: &Server, first: &str) -> Terminal {
        Terminal::join_from(program("sh").arg("-i").env("PS1", "$ "), server, first)
    }

    /// The same, from a shell of one's own.
    #[track_caller]
    pub(super) fn join_from(shell: Command, server: &Server, first: &str) -> Terminal {
        let mut terminal = Terminal::start_program(shell);
        terminal.wait_for_line("$");
        terminal.type_in(format!("{first}\r{MULTICHAT} --server {}\r", server.address));
        terminal.wait_for("/help tells");
        terminal.wait_for_line(">");
        terminal
    }

    /// Starts it and waits until it has joined.
    #[track_caller]
    pub(super) fn join(server: &Server, arguments: &[&str]) -> Terminal {
        let mut terminal = Terminal::start(server, arguments);
        terminal.wait_for("/help tells");
        terminal.wait_for_line("> ");
        terminal
    }

    pub(super) fn type_in(&self, keys: impl AsRef<[u8]>) {
        (&*self.pty).write_all(keys.as_ref()).expect("type");
    }

    pub(super) fn text(&self) -> String {
        self.screen.screen().contents()
    }

    /// Sets its width.
    pub(super) fn resize(&mut self, columns: u16) {
        self.pty.resize(Size::new(ROWS, columns)).expect("set its size");
        self.screen.screen_mut().set_size(cells(ROWS), cells(columns));
    }

    /// Reads nothing more of what the program writes.
    pub(super) fn stop_reading(&mut self) {
        self.coming = crossbeam_channel::never();
    }

    /// Waits until the screen is so.
    #[track_caller]
    fn wait_for_screen(&mut self, what: &str, is_so: impl Fn(&str) -> bool) {
        self.wait_within(DEADLINE, what, is_so);
    }

    #[track_caller]
    pub(super) fn wait_within(
        &mut self,
        deadline: Duration,
        what: &str,
        is_so: impl Fn(&str) -> bool,
    ) {
        let until = Instant::now() + deadline;
        while !is_so(&self.text()) {
            match self.coming.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.show(&bytes),
                Err(why) => panic!("{why}: no {what:?} on the screen:\n{}", self.text()),
            }
        }
    }

    /// Shows what has come; and says where the cursor is, if it is asked for.
    fn show(&mut self, bytes: &[u8]) {
        self.screen.process(bytes);
        self.came.extend_from_slice(bytes);
        if bytes.windows(4).any(|window| window == b"\x1b[6n") {
            let (row, column) = self.screen.screen().cursor_position();
            self.type_in(format!("\x1b[{};{}R", row + 1, column + 1));
        }
    }

    #[track_caller]
    pub(super) fn wait_for(&mut self, part: &str) {
        self.wait_for_screen(part, |text| text.contains(part));
    }

    /// Waits until the last line, where one types, is this.
    #[track_caller]
    pub(super) fn wait_for_line(&mut self, line: &str) {
        self.wait_for_screen(line, |text| {
            text.lines().last().map(str::trim_end) == Some(line.trim_end())
        });
    }

    #[track_caller]
    pub(super) fn wait_for_end(&mut self) -> i32 {
        wait_until("the program has ended", || {
            self.child.try_wait().expect("wait for it").is_some()
        });
        self.child.wait().expect("wait for it").code().expect("an exit status")
    }

    pub(super) fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Has ended already, mostly.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A peer that is called so.
pub(super) fn peer_called(server: &Server, nickname: &str) -> Peer {
    let mut peer = server.join();
    peer.set_nickname(nickname).ok();
    peer
}

#[test]
fn what_arrives_leaves_the_line_being_typed_whole() {
    let server = Server::start();
    let mut tom = peer_called(&server, "Tom");
    let mut terminal = Terminal::join(&server, &["-n", "Ann"]);
    terminal.wait_for("as 2 Ann; one other is here");
    terminal.type_in("half of a li");
    terminal.wait_for_line("> half of a li");
    tom.say("How are you?").ok();
    terminal.wait_for("1 Tom: How are you?");
    terminal.wait_for_line("> half of a li");
    tom.say("two\nlines").ok();
    terminal.wait_for("1 Tom: two\n    lines\n");
    terminal.wait_for_line("> half of a li");
    terminal.type_in("ne\r");
    let relay = tom.relay();
    assert_eq!((relay.text(), relay.field("Sender-Nickname")), ("half of a line", "Ann"));
    terminal.wait_for_line(">");
    // A time of day stands before each line that has arrived.
    let text = terminal.text();
    let arrived = text.lines().find(|line| line.contains("How are you?")).expect("the line");
    assert_eq!(arrived.as_bytes()[2], b':', "{arrived}");
    assert_eq!(&arrived[5..], " 1 Tom: How are you?");
}

#[test]
fn a_private_message_rings_once_and_each_sender_has_a_colour() {
    let server = Server::start();
    let mut tom = peer_called(&server, "Tom");
    let mut terminal = Terminal::join(&server, &[]);
    tom.say_to(2, "psst").ok();
    terminal.wait_for("(to you) 1 Tom: psst");
    let bells = |terminal: &Terminal| terminal.came.iter().filter(|&&byte| byte == 7).count();
    assert_eq!(bells(&terminal), 1);
    tom.say("aloud").ok();
    terminal.wait_for("1 Tom: aloud");
    assert_eq!(bells(&terminal), 1);
    assert!(String::from_utf8_lossy(&terminal.came).contains("\x1b[38;5;130m1 Tom\x1b[0m: aloud"));
}

#[test]
fn plain_and_no_color_are_kept_to() {
    let server = Server::start();
    let mut tom = peer_called(&server, "Tom");
    let mut plain = Terminal::start(&server, &["--plain"]);
    plain.wait_for("/help tells");
    let mut grey = Terminal::start_with(&server, &[], &[("NO_COLOR", "1")]);
    grey.wait_for("/help tells");
    tom.say_to(2, "psst").ok();
    tom.say("aloud").ok();
    plain.wait_for("(to you) 1 Tom: psst");
    let came = String::from_utf8_lossy(&plain.came).into_owned();
    assert!(!came.contains(['\x1b', '\x07']), "{came:?}");
    grey.wait_for("aloud");
    let came = String::from_utf8_lossy(&grey.came).into_owned();
    assert!(!came.contains("\x1b[38") && !came.contains("\x1b[7m"), "{came:?}");
}

#[test]
fn commands_do_what_help_says() {
    let server = Server::start();
    let mut tom = peer_called(&server, "Tom Smith");
    let mut ann = peer_called(&server, "Ann");
    let mut terminal = Terminal::join(&server, &[]);
    terminal.type_in("/help\r");
    terminal.wait_for("/quit");
    terminal.type_in("/nick Bob\r");
    terminal.wait_for("you are now Bob");
    terminal.type_in("/who\r");
    terminal.wait_for("  1 Tom Smith\n  2 Ann\n* 3 Bob\n");
    terminal.type_in("/msg 1 by number\r");
    assert_eq!(tom.relay().text(), "by number");
    terminal.type_in("/msg Tom Smith by name\r");
    let relay = tom.relay();
    assert_eq!((relay.text(), relay.field("To")), ("by name", "1"));
    ann.set_nickname("Tom Smith").ok();
    terminal.type_in("/msg Tom Smith to whom?\r");
    terminal.wait_for("several are called Tom Smith: not sent; say which UID: 1, 2");
    terminal.type_in("/msg Eve hi\r");
    terminal.wait_for("nobody here is called Eve");
    terminal.type_in("/msg 99 hi\r");
    terminal.wait_for("not sent: no client 99 has connected");
    terminal.type_in("/shout hi\r");
    terminal.wait_for("/shout: unknown command");
    terminal.type_in("//me waves\r");
    assert_eq!(tom.relay().text(), "/me waves");
    tom.expect_nothing();
    assert_eq!(ann.relay().text(), "/me waves");
    terminal.type_in("/quit\r");
    assert_eq!(terminal.wait_for_end(), 0);
    let refused = ann.say_to(3, "x");
    assert!(refused.reason().contains("it said bye"), "{refused:?}");
}

#[test]
fn files_are_shared_and_got_with_their_progress() {
    let server = Server::start();
    let mut tom = peer_called(&server, "Tom");
    let mut terminal = Terminal::join(&server, &[]);
    let bytes = pattern(3, 3 << 20);
    fs::write(terminal.path("my cat.jpg"), &bytes).unwrap();
    terminal.type_in("/share my cat.jpg\r");
    terminal.wait_for("100 % of 3.00 MiB");
    terminal.wait_for("my cat.jpg is shared as file 1");
    assert_eq!(tom.relay().field("File-ID"), "1");
    terminal.type_in("/share 'my cat.jpg' Tom\r");
    terminal.wait_for("is shared as file 2");
    assert_eq!(tom.relay().field("To"), "1");
    terminal.type_in("/files\r");
    terminal.wait_for(
        "File-ID  type    bytes  from  name\n      1  jpg   3145728     2  my cat.jpg\n      \
         2  jpg   3145728     2  my cat.jpg\n",
    );
    terminal.type_in("/get 1\r");
    terminal.wait_for("file 1 is saved as 1 my cat.jpg");
    assert_same_bytes(&fs::read(terminal.path("1 my cat.jpg")).unwrap(), &bytes);
    terminal.type_in("/get 1\r");
    terminal.wait_for("1 my cat.jpg is already there");
    terminal.type_in("/get 1 'a b.jpg'\r");
    terminal.wait_for("file 1 is saved as a b.jpg");
    assert_same_bytes(&fs::read(terminal.path("a b.jpg")).unwrap(), &bytes);
    terminal.type_in("/get 9\r");
    terminal.wait_for("no file 9");
    terminal.type_in("/share none\r");
    terminal.wait_for("cannot share none");
    // The bar was drawn in one place: each percent took the place of the one before.
    let bars = terminal.text().lines().filter(|line| line.contains("% of")).count();
    assert!((1..=4).contains(&bars), "{bars} bars:\n{}", terminal.text());
}

#[test]
fn tab_completes_commands_nicknames_and_files() {
    let server = Server::start();
    let mut tom = peer_called(&server, "Tom Smith");
    let mut terminal = Terminal::join(&server, &[]);
    terminal.type_in(format!("/ms{TAB}"));
    terminal.wait_for_line("> /msg");
    terminal.type_in(format!("To{TAB}"));
    terminal.wait_for_line("> /msg Tom Smith");
    terminal.type_in("hello\r");
    assert_eq!(tom.relay().text(), "hello");
    fs::write(terminal.path("picture.jpg"), "x").unwrap();
    terminal.type_in(format!("/share pic{TAB}"));
    terminal.wait_for_line("> /share picture.jpg");
    terminal.type_in("\r");
    assert_eq!(tom.relay().field("File-ID"), "1");
    terminal.type_in(format!("/get {TAB}"));
    terminal.wait_for_line("> /get 1");
}

#[test]
fn history_brings_lines_back() {
    let server = Server::start();
    let mut tom = server.join();
    let mut terminal = Terminal::join(&server, &[]);
    terminal.type_in("first\rsecond\r");
    assert_eq!((tom.relay().text(), tom.relay().text()), ("first", "second"));
    terminal.type_in(format!("{UP}{UP}"));
    terminal.wait_for_line("> first");
    terminal.type_in(" again\r");
    assert_eq!(tom.relay().text(), "first again");
}

#[test]
fn a_pasted_block_is_one_message() {
    let server = Server::start();
    let mut tom = server.join();
    let terminal = Terminal::join(&server, &[]);
    terminal.type_in("\x1b[200~one\n  two\nthree\n\x1b[201~\r");
    assert_eq!(tom.relay().text(), "one\n  two\nthree");
    terminal.type_in("after\r");
    assert_eq!(tom.relay().text(), "after");
}

#[test]
fn ctrl_c_drops_the_line_and_leaves_on_an_empty_one() {
    let server = Server::start();
    let mut tom = server.join();
    let mut terminal = Terminal::join(&server, &[]);
    terminal.type_in("not to be sent");
    terminal.wait_for_line("> not to be sent");
    terminal.type_in(CTRL_C);
    terminal.wait_for_line(">");
    terminal.type_in("sent\r");
    assert_eq!(tom.relay().text(), "sent");
    terminal.type_in(CTRL_C);
    assert_eq!(terminal.wait_for_end(), 0);
}

#[test]
fn a_key_between_two_lines_means_what_it_means_in_a_line() {
    // Each is typed as soon as the line before has arrived, when the editor may not read yet.
    let server = Server::start();
    let mut tom = server.join();
    let mut terminal = Terminal::join(&server, &[]);
    for nth in 0..200 {
        terminal.type_in(format!("{nth}\r"));
        assert_eq!(tom.relay().text(), nth.to_string());
        terminal.type_in(format!("x{CTRL_C}"));
    }
    terminal.type_in("last words\r");
    assert_eq!(tom.relay().text(), "last words");
    terminal.type_in(CTRL_D);
    assert_eq!(terminal.wait_for_end(), 0);
}

#[test]
fn ctrl_z_gives_the_terminal_back_to_the_shell() {
    let server = Server::start();
    let mut tom = server.join();
    let mut terminal = Terminal::join_from_shell(&server, ":");
    terminal.type_in(format!("half of a li{CTRL_Z}"));
    terminal.wait_for_line("$");
    // The shell's lines are echoed and edited as ever, and ended by a carriage return.
    terminal.type_in("echo xx\x7f$((6 * 7))\r");
    terminal.wait_for("x42\n$");
    tom.say("meanwhile").ok();
    terminal.type_in("fg\r");
    terminal.wait_for("1: meanwhile");
    terminal.wait_for_line("> half of a li");
    terminal.type_in("ne\r");
    assert_eq!(tom.relay().text(), "half of a line");
    terminal.type_in(CTRL_D);
    terminal.wait_for_line("$");
    terminal.type_in("echo $?$((6 * 7))\r");
    terminal.wait_for("042\n$");
}

#[test]
fn a_stopped_program_can_be_ended_and_another_key_may_stop_it() {
    let server = Server::start();
    let mut tom = server.join();
    let mut terminal = Terminal::join_from_shell(&server, "stty susp ^Y");
    terminal.type_in("\x19");
    terminal.wait_for_line("$");
    terminal.type_in("kill %1; kill -CONT %1\r");
    tom.wait_until_gone(2);
}

#[test]
fn a_terminal_that_edits_lines_itself_is_left_to_do_so() {
    let server = Server::start();
    let mut tom = server.join();
    let mut terminal = Terminal::start_with(&server, &[], &[("TERM", "dumb")]);
    terminal.wait_for("/help tells");
    terminal.type_in("hellx\x7fo\r");
    terminal.wait_for("hell");
    assert_eq!(tom.relay().text(), "hello");
    tom.say("hi").ok();
    terminal.wait_for("1: hi");
    terminal.type_in("/quit\r");
    assert_eq!(terminal.wait_for_end(), 0);
}

#[test]
fn ctrl_d_leaves() {
    let server = Server::start();
    let mut tom = server.join();
    let mut terminal = Terminal::join(&server, &[]);
    terminal.type_in(format!("last words\r{CTRL_D}"));
    assert_eq!(terminal.wait_for_end(), 0);
    assert_eq!(tom.relay().text(), "last words");
    let refused = tom.say_to(2, "x");
    assert!(refused.reason().contains("it said bye"), "{refused:?}");
}

#[test]
fn a_new_window_size_leaves_the_line_whole() {
    let server = Server::start();
    let mut tom = peer_called(&server, "Tom");
    let mut terminal = Terminal::join(&server, &[]);
    let line = "x".repeat(50);
    terminal.type_in(&line);
    terminal.wait_for_line(&format!("> {line}"));
    terminal.pty.resize(Size::new(ROWS, 40)).expect("set its size");
    terminal.screen.screen_mut().set_size(cells(ROWS), cells(40));
    terminal.type_in("yz");
    tom.say("hi").ok();
    terminal.wait_for("1 Tom: hi");
    terminal.type_in("\r");
    assert_eq!(tom.relay().text(), line + "yz");
}

#[test]
fn a_lost_connection_is_made_again_as_it_was() {
    let mut server = Server::start();
    let address = server.address.to_string();
    let others: Vec<Peer> = (0..2).map(|_| server.join()).collect();
    let mut terminal = Terminal::join(&server, &[]);
    terminal.type_in("/nick Ann\r");
    terminal.wait_for("you are now Ann");
    drop(others);
    server.kill();
    terminal.wait_for("trying again in 1 s");
    terminal.type_in("into the void\r");
    terminal.wait_for("there is no connection: this was not sent");
    let again = Server::with(&["--listen", &address]);
    terminal.wait_for("your UID has changed from 3 to 1");
    let mut tom = again.join();
    assert_eq!(tom.query("names").ok().text(), "1 Ann\n2\n");
    terminal.type_in("back\r");
    assert_eq!(tom.relay().text(), "back");
    terminal.type_in(CTRL_D);
    assert_eq!(terminal.wait_for_end(), 0);
}

#[test]
fn a_server_that_is_not_there_is_told_and_tried_again() {
    let mut server = Server::start();
    let address = server.address.to_string();
    server.kill();
    let mut terminal = Terminal::start(&server, &[]);
    terminal.wait_for("* cannot connect to ");
    terminal.type_in("too early\r");
    terminal.wait_for("there is no connection: this was not sent");
    let again = Server::with(&["--listen", &address]);
    terminal.wait_for("/help tells");
    let mut tom = again.join();
    terminal.type_in("hello\r");
    assert_eq!(tom.relay().text(), "hello");
}

#[test]
fn a_nickname_that_is_refused_ends_the_program() {
    let server = Server::start();
    for options in [&["-n", "\u{1b}"][..], &["-n", "\u{1b}", "--plain"]] {
        let mut terminal = Terminal::start(&server, options);
        terminal.wait_for("multichat: the nickname was refused");
        assert_eq!(terminal.wait_for_end(), 1);
    }
}

#[test]
fn a_private_message_never_goes_to_who_calls_himself_what_it_begins_with() {
    let server = Server::start();
    let (mut tom, mut other) = (peer_called(&server, "Tom"), peer_called(&server, "Tom hi"));
    let mut terminal = Terminal::join(&server, &[]);
    terminal.type_in("/msg Tom hi there\r");
    terminal.wait_for("not sent; say which UID: 1 Tom, 2 Tom hi");
    tom.expect_nothing();
    other.expect_nothing();
    terminal.type_in("/msg Tom hello\r");
    assert_eq!(tom.relay().text(), "hello");
    other.expect_nothing();
}

#[test]
fn what_is_typed_and_is_not_utf_8_is_said_and_nothing_else() {
    let server = Server::start();
    let mut tom = server.join();
    let mut terminal = Terminal::join(&server, &[]);
    terminal.type_in(b"\xff\r");
    terminal.wait_for("not UTF-8");
    terminal.type_in("hello\r");
    assert!(tom.relay().text().ends_with("hello"));
}

#[test]
fn a_server_that_does_not_answer_leaves_the_terminal_to_the_person() {
    let address = Fake::serve(|client| while client.next().is_some() {});
    let mut terminal = Terminal::start_at(address, &[], &[]);
    terminal.wait_for_line("> ");
    terminal.type_in("half a line");
    terminal.wait_for_line("> half a line");
    terminal.type_in(format!("{CTRL_C}never said\r{CTRL_D}"));
    assert_eq!(terminal.wait_for_end(), 0);
}

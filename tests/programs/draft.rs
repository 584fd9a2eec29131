//! The draft's examples (§3), run as transcripts: what is sent is written as the draft writes it, `
//! \r\n` and all; what comes back is compared byte for byte.

use crate::common::{Peer, Server, pattern};

/// The draft's Tom, who has set his nickname as in §3.3.
fn tom(server: &Server) -> Peer {
    let mut tom = server.join();
    tom.send(SET_NICKNAME);
    tom.expect(NICKNAME_SET);
    tom
}

const SET_NICKNAME: &str = "Message-Type nickname \r\n\
                            Message-ID 1 \r\n\
                            Content-Type text \r\n\
                            Content-Length 3 \r\n\
                            \r\n\
                            Tom";

const NICKNAME_SET: &str = "Status Ok\r\n\
                            Message-Type nickname\r\n\
                            Message-ID 1\r\n\
                            Content-Type text\r\n\
                            Content-Length 3\r\n\
                            \r\n\
                            Tom";

const CHAT: &str = "Message-Type chat \r\n\
                    Message-ID 22 \r\n\
                    Content-Type text \r\n\
                    Content-Length 12 \r\n\
                    \r\n\
                    How are you?";

const CHAT_RELAYED: &str = "Message-Type chat\r\n\
                            From 1\r\n\
                            Sender-Nickname Tom\r\n\
                            Content-Type text\r\n\
                            Content-Length 12\r\n\
                            \r\n\
                            How are you?";

const CHAT_DONE: &str = "Status Ok\r\n\
                         Message-Type chat\r\n\
                         Message-ID 22\r\n\
                         Content-Type text\r\n\
                         Content-Length 0\r\n\
                         \r\n";

const SHARE: &str = "Message-Type chat \r\n\
                     Message-ID 25 \r\n\
                     Content-Type jpg \r\n\
                     Content-Length 3000 \r\n\
                     \r\n";

const SHARE_RELAYED: &str = "Message-Type chat\r\n\
                             From 1\r\n\
                             Sender-Nickname Tom\r\n\
                             File-ID 10\r\n\
                             Content-Type jpg\r\n\
                             Content-Length 3000\r\n\
                             \r\n";

const SHARE_DONE: &str = "Status Ok\r\n\
                          Message-Type chat\r\n\
                          Message-ID 25\r\n\
                          File-ID 10\r\n\
                          Content-Type text\r\n\
                          Content-Length 0\r\n\
                          \r\n";

const FETCH: &str = "Message-Type fetch \r\n\
                     Message-ID 80 \r\n\
                     Content-Type text \r\n\
                     Content-Length 2 \r\n\
                     \r\n\
                     10";

const FETCHED: &str = "Status Ok\r\n\
                       Message-Type fetch\r\n\
                       Message-ID 80\r\n\
                       Content-Type jpg\r\n\
                       Content-Length 3000\r\n\
                       \r\n";

const BYE: &str = "Message-Type bye \r\n\
                   Message-ID 1000 \r\n\
                   \r\n";

/// Who else is in the room: a client of the draft sees the same, whatever the others ask for.
const COMPANIES: [fn(&Server) -> Vec<Peer>; 2] = [nobody, extended];

fn nobody(_: &Server) -> Vec<Peer> {
    Vec::new()
}

/// Clients that get more than the draft has, and of which there is more to tell.
fn extended(server: &Server) -> Vec<Peer> {
    ["Ann", "Ben"]
        .map(|name| {
            let mut peer = server.join();
            peer.query("extended").ok();
            peer.set_nickname(name).ok();
            peer.set_nickname(format!("{name}2")).ok();
            peer.query("history 10").ok();
            peer
        })
        .into()
}

#[test]
fn chat_is_relayed_and_answered_as_in_the_examples() {
    // §3.1; the response has `Content-Length 0`, since there is <no message body>.
    for company in COMPANIES {
        let server = Server::start();
        let (mut tom, mut bob) = (tom(&server), server.join());
        let _company = company(&server);
        tom.send(CHAT);
        bob.expect(CHAT_RELAYED);
        tom.expect(CHAT_DONE);
        bob.expect_nothing();
        tom.expect_nothing();
    }
}

#[test]
fn file_is_shared_and_fetched_as_in_the_examples() {
    // §3.2; the response to the chat is "in the same format", with the File-ID that the sharer
    // would not learn otherwise.
    for company in COMPANIES {
        let server = Server::start();
        let (mut tom, mut bob) = (tom(&server), server.join());
        let _company = company(&server);
        for file_id in 1..10 {
            assert_eq!(tom.share("txt", "not yet").ok().number("File-ID"), file_id);
            bob.relay();
        }
        let content = pattern(25, 3000);
        tom.send(SHARE);
        tom.send(&content);
        bob.expect(SHARE_RELAYED);
        tom.expect(SHARE_DONE);
        bob.send(FETCH);
        bob.expect(FETCHED);
        bob.expect(&content);
        bob.expect_nothing();
    }
}

#[test]
fn nickname_is_set_as_in_the_examples() {
    // §3.3: the response's body is the nickname.
    for company in COMPANIES {
        let server = Server::start();
        let mut tom = server.connect();
        let _company = company(&server);
        tom.send(SET_NICKNAME);
        tom.expect(NICKNAME_SET);
    }
}

#[test]
fn bye_is_not_answered() {
    // §3.4.1: "There will not be any response from server for a "bye" message."
    for company in COMPANIES {
        let server = Server::start();
        let mut tom = server.connect();
        let _company = company(&server);
        tom.send(BYE);
        tom.expect_end();
    }
}

#[test]
fn private_chat_is_relayed_with_to_before_from() {
    // §2.3.2.1: "a "From" field with sender UID shall be appended"; the order of the fields is that
    // of §2.2.1.1.
    for company in COMPANIES {
        let server = Server::start();
        let (mut tom, mut bob, mut eve) = (tom(&server), server.join(), server.join());
        let _company = company(&server);
        tom.send(CHAT.replace("Content-Type text", "To 2 \r\nContent-Type text"));
        bob.expect(CHAT_RELAYED.replace("From 1", "To 2\r\nFrom 1"));
        tom.expect(CHAT_DONE);
        eve.expect_nothing();
    }
}

#[test]
fn chat_of_a_client_without_a_nickname_is_relayed_without_one() {
    // §2.2: "If the sender has provided a nickname, the nickname should be included".
    for company in COMPANIES {
        let server = Server::start();
        let (mut nameless, mut bob) = (server.join(), server.join());
        let _company = company(&server);
        nameless.send(CHAT);
        bob.expect(CHAT_RELAYED.replace("Sender-Nickname Tom\r\n", ""));
        nameless.expect(CHAT_DONE);
    }
}

#[test]
fn all_examples_sent_in_one_piece_are_answered_in_order() {
    // §1.1: in-order delivery, for a client that does not wait for responses.
    for company in COMPANIES {
        let server = Server::start();
        let (mut tom, mut bob) = (server.join(), server.join());
        let _company = company(&server);
        let content = pattern(25, 3000);
        let session =
            [SET_NICKNAME.as_bytes(), CHAT.as_bytes(), SHARE.as_bytes(), &content, BYE.as_bytes()]
                .concat();
        tom.send(session);
        tom.expect(NICKNAME_SET);
        tom.expect(CHAT_DONE);
        tom.expect(SHARE_DONE.replace("File-ID 10", "File-ID 1"));
        tom.expect_end();
        bob.expect(CHAT_RELAYED);
        bob.expect(SHARE_RELAYED.replace("File-ID 10", "File-ID 1"));
        bob.expect_nothing();
    }
}

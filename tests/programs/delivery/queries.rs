//! UIDs, and what a query tells of the room (§2.3.1.2).

use std::collections::BTreeSet;

use crate::common::{Server, message};

#[test]
fn uids_count_up_from_one() {
    // §2.3.1.2: "Once connected to server, client shall be assigned a unique ID."
    let server = Server::start();
    let clients: Vec<_> = (0..5).map(|_| server.join()).collect();
    let uids: Vec<_> = clients.iter().map(|client| client.uid).collect();
    assert_eq!(uids, [1, 2, 3, 4, 5]);
}

#[test]
fn uid_is_never_assigned_twice() {
    // §2.3.1.2: "unique ID": a message to one who has left never goes to one who came later.
    let server = Server::start();
    let mut first = server.join();
    for uid in 2..20 {
        let client = server.join();
        assert_eq!(client.uid, uid);
        client.bye();
        first.wait_until_gone(uid);
    }
    assert_eq!(server.join().uid, 20);
}

#[test]
fn clients_that_connect_at_once_get_uids_of_their_own() {
    // §2.3.1.2: a unique ID, also in a crowd.
    let server = Server::start();
    let uids: BTreeSet<_> = std::thread::scope(|scope| {
        let joining: Vec<_> = (0..64).map(|_| scope.spawn(|| server.join())).collect();
        let clients: Vec<_> = joining.into_iter().map(|thread| thread.join().unwrap()).collect();
        clients.iter().map(|client| client.uid).collect()
    });
    assert_eq!(uids, (1..=64).collect());
}

#[test]
fn query_lists_the_active_uids_ascending_with_the_asker() {
    // §2.1.1.2: "Query message requests for the UID list of current active clients": one to a line.
    let server = Server::start();
    let mut clients: Vec<_> = (0..4).map(|_| server.join()).collect();
    assert_eq!(clients[3].query("").ok().text(), "1\n2\n3\n4\n");
    clients.remove(1).bye();
    clients[0].wait_until_gone(2);
    assert_eq!(clients[0].query("").ok().text(), "1\n3\n4\n");
    let _fifth = server.join();
    assert_eq!(
        clients[0].request("Message-Type query\nMessage-ID 9\n\n").ok().text(),
        "1\n3\n4\n5\n"
    );
}

#[test]
fn uids_of_a_large_room_are_ascending_numbers_not_words() {
    // 9 comes before 10.
    let server = Server::start();
    let mut clients: Vec<_> = (0..12).map(|_| server.join()).collect();
    assert_eq!(clients[5].uids(), (1..=12).collect::<Vec<_>>());
    let names = clients[5].query("names").ok();
    assert_eq!(names.text().lines().nth(9), Some("10"));
}

#[test]
fn query_names_lists_uids_and_nicknames() {
    // A body `names` asks for `UID` or `UID nickname`, a line each, ascending.
    let server = Server::start();
    let (mut one, mut two, mut three) = (server.join(), server.join(), server.join());
    assert_eq!(one.query("names").ok().text(), "1\n2\n3\n");
    three.set_nickname("Tom Sawyer").ok();
    one.set_nickname("Zoë").ok();
    assert_eq!(two.query("names").ok().text(), "1 Zoë\n2\n3 Tom Sawyer\n");
    three.set_nickname("Tom").ok();
    one.bye();
    two.wait_until_gone(1);
    assert_eq!(two.query("names").ok().text(), "2\n3 Tom\n");
}

#[test]
fn query_files_of_an_empty_stage_is_empty() {
    // A body `files` asks for those that the asker may fetch; there are none.
    let server = Server::start();
    assert_eq!(server.join().query("files").ok().text(), "");
}

#[test]
fn answer_to_a_query_is_a_text() {
    // §2.2.2.2: "For chat and query message, the message body should be in ASCII text."
    let server = Server::start();
    let mut client = server.join();
    for body in ["", "self", "names", "files"] {
        let answer = client
            .request(message("Message-Type query\nMessage-ID 3\nContent-Type jpg", body))
            .ok();
        assert_eq!(answer.field("Content-Type"), "text");
        assert_eq!(answer.number("Content-Length"), answer.body.len() as u64);
    }
}

//! A web site that a member visits must not become a member, and nothing that it makes a browser
//! send becomes chat.

use super::{Web, request, upgrade};
use crate::common::{Server, chat};

#[test]
fn a_web_socket_of_another_site_is_refused() {
    // RFC 6455, 10.2: a browser says in `Origin` which page asks.
    let server = Server::start();
    let host = server.address.to_string();
    let own = format!("Origin: http://{host}\r\n");
    let port = server.address.port();
    let foreign = [
        "Origin: http://evil.example.com\r\n".to_owned(),
        format!("Origin: https://{host}\r\n"),
        "Origin: http://127.0.0.1\r\n".to_owned(),
        format!("Origin: http://127.0.0.1:{}\r\n", port.wrapping_add(1)),
        format!("Origin: http://localhost:{port}\r\n"),
        format!("Origin: http://{host}.evil.example.com\r\n"),
        format!("Origin: http://{host}/\r\n"),
        "Origin: null\r\n".to_owned(),
        "Origin: \r\n".to_owned(),
        format!("{own}{own}"),
    ];
    for origin in foreign {
        let answer = request(&server, upgrade(&host).replace(&own, &origin));
        assert_eq!(answer.status, 403, "{origin:?}");
    }
    // Without one it is no browser.
    let mut web = Web::connect(server.address);
    web.send(upgrade(&host).replace(&own, ""));
    assert_eq!(web.read_head().status, 101);
    assert_eq!(web.query("").text(), "11\n", "the others are nobody");
}

#[test]
fn a_name_that_a_foreign_site_can_have_is_refused() {
    // DNS rebinding: a site lets its own name point to an address in the browser's network, and its
    // page is then of the same origin as this server.
    let server =
        Server::with(&["--web-name", "chat.school.example", "--web-name", "Other.Example"]);
    let status = |host: &str| {
        let request_line = "GET / HTTP/1.1\r\n";
        request(&server, format!("{request_line}Host: {host}\r\n\r\n")).status
    };
    let port = server.address.port();
    for host in [
        "127.0.0.1",
        "[::1]",
        "192.168.1.20",
        "localhost",
        "room.localhost",
        "PI",
        "pi.local",
        "PI.LOCAL",
        "chat.school.example",
        "CHAT.school.Example",
        "other.example",
    ] {
        assert_eq!(status(host), 200, "{host}");
        assert_eq!(status(&format!("{host}:{port}")), 200, "{host}");
        assert_eq!(status(&format!("{host}:80")), 200, "{host}");
    }
    for host in [
        "evil.example.com",
        "localhost.evil.example.com",
        "school.example",
        "127.0.0.1.evil.example.com",
        "evil-local.com",
        "x.chat.school.example",
    ] {
        assert_eq!(status(host), 421, "{host}");
        assert_eq!(status(&format!("{host}:{port}")), 421, "{host}");
    }
    for host in [
        "",
        "user@localhost",
        "localhost/",
        "\"localhost\"",
        "localhost.",
        "a b",
        "localhost:",
        "localhost:99999",
        "localhost:80:80",
        "::1",
        "[::1",
        "[fe80::1%eth0]",
    ] {
        // A port may be empty (RFC 3986, 3.2.3), and is no use to anybody.
        assert_eq!(status(host), 400, "{host:?}");
    }
}

#[test]
fn what_another_site_posts_never_becomes_chat() {
    // A form or `fetch` of any page can send a POST here, with any text in it, asking nobody.
    let server = Server::start();
    let mut member = server.join();
    let host = server.address;
    let smuggled = String::from_utf8(chat(1, "from a page")).expect("ASCII");
    let len = smuggled.len();
    for head in [
        format!(
            "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Type: text/plain\r\nContent-Length: {len}\r\n\r\n"
        ),
        format!("POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len}\r\n\r\n"),
        "POST / HTTP/1.1\r\n".to_owned(),
        "POST / HTTP/1.0\r\n\r\n".to_owned(),
        "Message-Type chat HTTP/1.1\r\n".to_owned(),
        format!("GET /chat HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    ] {
        let mut web = Web::connect(server.address);
        web.send(format!("{head}{smuggled}"));
        web.end_input();
        let answer = web.answer();
        assert!(answer.status >= 200, "{head}: {}", answer.head);
    }
    // Nor do its bytes without frames, once it is a WebSocket.
    let mut web = Web::open(&server);
    web.send(&smuggled);
    web.expect_close(1002);
    member.expect_nothing();
}

#[test]
fn a_name_that_is_none_is_wrong_usage() {
    for (name, what) in [("a b", ""), ("", ""), ("localhost:8080", ""), ("http://pi.example/", "")]
    {
        let output = crate::common::multichatd(&["--web-name", name]).output().expect("run it");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{error}{what}");
        assert!(
            error.starts_with(&format!("multichatd: --web-name {name}: not a host name")),
            "{error}"
        );
    }
}

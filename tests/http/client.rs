//! The least of an HTTP client: what goes over the wire is under test, so nothing is hidden.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

pub fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Sends a request and reads the answer to its end.
pub fn request(port: u16, method: &str, path: &str, headers: &str) -> Answer {
    exchange(port, method, path, &format!("{headers}\r\n"))
}

/// The same with all that follows the first headers, an empty line and a body too.
fn exchange(port: u16, method: &str, path: &str, rest: &str) -> Answer {
    let mut stream = connect(port);
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{rest}").unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers =
        lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_lowercase(), v.to_owned())).collect();
    Answer { status, headers, body: body.to_owned() }
}

/// Sends JSON with some headers more.
pub fn send(port: u16, method: &str, path: &str, headers: &str, body: &serde_json::Value) -> Answer {
    let body = body.to_string();
    let about = format!("Content-Type: application/json\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len());
    exchange(port, method, path, &about)
}

/// Posts a form.
pub fn form(port: u16, path: &str, fields: &str) -> Answer {
    let kind = "Content-Type: application/x-www-form-urlencoded";
    exchange(port, "POST", path, &format!("{kind}\r\nContent-Length: {}\r\n\r\n{fields}", fields.len()))
}

pub fn get(port: u16, path: &str) -> Answer {
    request(port, "GET", path, "")
}

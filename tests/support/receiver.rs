//! A small HTTP server that takes what is posted to it, keeps it and answers, mostly 204.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use serde_json::Value;
use sha2::Sha256;

#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    /// By name in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Request {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a JSON body")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Whether the signature is the one of Standard Webhooks with this key.
    pub fn is_signed_with(&self, key: &[u8]) -> bool {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
        mac.update(
            format!("{}.{}.{}", self.header("webhook-id"), self.header("webhook-timestamp"), self.body).as_bytes(),
        );
        self.header("webhook-signature") == format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// Runs until the test's process ends.
#[derive(Clone)]
pub struct Receiver {
    pub port: u16,
    taken: Arc<Mutex<Vec<Request>>>,
}

impl Receiver {
    pub fn start() -> Self {
        Self::failing(0)
    }

    /// Answers the first so many requests with 500; it keeps those too.
    pub fn failing(failures: usize) -> Self {
        Self::with(failures, Duration::ZERO)
    }

    /// Takes a request only after `delay`, from who is still there, and answers after as much again: who asks may be gone by
    /// then, too early or too late.
    pub fn slow(delay: Duration) -> Self {
        Self::with(0, delay)
    }

    /// Answers with this JSON.
    pub fn answering(body: String) -> Self {
        Self::serve(Duration::ZERO, move |_| {
            let length = body.len();
            format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            )
        })
    }

    fn with(failures: usize, delay: Duration) -> Self {
        Self::serve(delay, move |nth| {
            let status = if nth <= failures { "500 Internal Server Error" } else { "204 No Content" };
            format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        })
    }

    /// `answer` to the first request, the second, ...
    fn serve(delay: Duration, answer: impl Fn(usize) -> String + Send + Sync + 'static) -> Self {
        let answer = Arc::new(answer);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let taken: Arc<Mutex<Vec<Request>>> = Arc::default();
        let keep = taken.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (keep, answer) = (keep.clone(), answer.clone());
                std::thread::spawn(move || {
                    if let Some(request) = take(&stream)
                        && (delay.is_zero() || still_there(&stream, delay))
                    {
                        let nth = {
                            let mut kept = keep.lock().unwrap_or_else(PoisonError::into_inner);
                            kept.push(request);
                            kept.len()
                        };
                        std::thread::sleep(delay);
                        let _ = (&stream).write_all(answer(nth).as_bytes());
                    }
                });
            }
        });
        Receiver { port, taken }
    }

    pub fn taken(&self) -> Vec<Request> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Whether who asks is there after `delay`: a process that is killed closes its connections.
fn still_there(stream: &TcpStream, delay: Duration) -> bool {
    std::thread::sleep(delay);
    let _ = stream.set_nonblocking(true);
    let there = stream.peek(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
    let _ = stream.set_nonblocking(false);
    there
}

fn take(stream: &TcpStream) -> Option<Request> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Request { path, headers, body: String::from_utf8(body).ok()? })
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A front for a registry: passes HTTP on, asks for a token if told to, counts
//! what is asked for, and spoils answers on demand. One request per
//! connection; what it does not spoil it does not interpret.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;

/// How the answer with a blob is spoiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends after so many bytes of the body, this many times.
    Cut {
        /// Bytes of the body that still arrive.
        after: usize,
        /// How often; later answers are whole.
        times: usize,
    },
    /// The connection ends after so many bytes of an upload, this many times.
    CutUpload {
        /// Bytes that still arrive.
        after: u64,
        /// How often; later uploads are whole.
        times: usize,
    },
    /// Every blob is shorter than it should be, and its length says so.
    Truncate,
    /// One byte of every blob is another.
    WrongByte,
    /// So many requests are answered 503 first.
    Unavailable(usize),
    /// Every request is answered 429 with a Retry-After.
    RateLimit,
}

/// What the front does with requests.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Bearer token that requests must carry; the front hands it out itself.
    pub token: Option<String>,
    /// `user:password` that the token costs.
    pub login: Option<String>,
    /// `user:password` that every request must carry.
    pub basic: Option<String>,
    /// How long every blob takes to arrive.
    pub delay: Duration,
    /// What to spoil.
    pub fault: Option<Fault>,
}

/// One request as the front saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `GET`, `HEAD`, ...
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Value of the Range header.
    pub range: Option<String>,
}

impl Seen {
    /// Whether it asked for the bytes of a blob.
    #[must_use]
    pub fn is_blob(&self) -> bool {
        self.method == "GET" && self.path.contains("/blobs/")
    }
}

/// A listening front; threads end with the test's process.
pub struct Front {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    upstream: SocketAddr,
    address: SocketAddr,
    rules: Mutex<Rules>,
    seen: Mutex<Vec<Seen>>,
    /// Blobs on their way now, and the most there ever were.
    blobs: AtomicUsize,
    most_blobs: AtomicUsize,
}

impl Front {
    /// Listens in front of `upstream`.
    ///
    /// # Errors
    /// There is no port.
    pub fn start(upstream: SocketAddr, rules: Rules) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (rules, seen) = (Mutex::new(rules), Mutex::default());
        let state = Arc::new(State {
            upstream,
            address,
            rules,
            seen,
            blobs: AtomicUsize::new(0),
            most_blobs: AtomicUsize::new(0),
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                // A client that hangs up is nothing to tell about.
                std::thread::spawn(move || state.answer(&client).ok());
            }
        });
        Ok(Self { address, state })
    }

    /// An image here, as references name it.
    #[must_use]
    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    /// From now on.
    pub fn set(&self, rules: Rules) {
        *lock(&self.state.rules) = rules;
    }

    /// The largest number of blobs that were on their way at one time.
    #[must_use]
    pub fn most_blobs_at_once(&self) -> usize {
        self.state.most_blobs.load(Ordering::SeqCst)
    }

    /// Takes the list of requests so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *lock(&self.state.seen))
    }
}

impl State {
    fn answer(&self, client: &TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(client);
        let request = Head::read(&mut reader)?;
        let mut words = request.first.split(' ').map(str::to_owned);
        let method = words.next().unwrap_or_default();
        let path = words.next().unwrap_or_default();
        let range = request.header("range").map(str::to_owned);
        lock(&self.seen).push(Seen {
            method: method.clone(),
            path: path.clone(),
            range,
        });
        let rules = lock(&self.rules).clone();
        if path.starts_with("/token") {
            return self.hand_out_token(client, &request, &rules);
        }
        if let Some(token) = &rules.token
            && request.header("authorization") != Some(&format!("Bearer {token}"))
        {
            return self.ask_for_token(client, &path);
        }
        if let Some(login) = &rules.basic
            && request.header("authorization") != Some(&format!("Basic {}", base64(login)))
        {
            let challenge = "WWW-Authenticate: Basic realm=\"test\"\r\n";
            return respond(client, "401 Unauthorized", challenge, b"{}");
        }
        match self.spoil_request() {
            Some(refusal) => respond(client, refusal, "", b"{}"),
            None => {
                let is_blob = method == "GET" && path.contains("/blobs/");
                let _counted = is_blob.then(|| self.count_blob());
                if is_blob {
                    std::thread::sleep(rules.delay);
                }
                self.pass_on(client, reader, request, is_blob, rules.fault)
            }
        }
    }

    fn count_blob(&self) -> Counted<'_> {
        let now = self.blobs.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_blobs.fetch_max(now, Ordering::SeqCst);
        Counted(&self.blobs)
    }

    /// Whether this request is refused whatever it is for.
    fn spoil_request(&self) -> Option<&'static str> {
        let mut rules = lock(&self.rules);
        match &mut rules.fault {
            Some(Fault::Unavailable(left)) if *left > 0 => {
                *left -= 1;
                Some("503 Service Unavailable")
            }
            Some(Fault::RateLimit) => Some("429 Too Many Requests\r\nRetry-After: 1"),
            _ => None,
        }
    }

    fn ask_for_token(&self, client: &TcpStream, path: &str) -> io::Result<()> {
        let name = path.trim_start_matches("/v2/");
        let end = ["/manifests/", "/blobs/"]
            .iter()
            .find_map(|part| name.find(part));
        let scope = end.map_or(String::new(), |end| {
            format!(",scope=\"repository:{}:pull\"", &name[..end])
        });
        let challenge = format!(
            "WWW-Authenticate: Bearer realm=\"http://{}/token\",service=\"test\"{scope}\r\n",
            self.address
        );
        respond(
            client,
            "401 Unauthorized",
            &challenge,
            b"{\"errors\":[{\"code\":\"UNAUTHORIZED\"}]}",
        )
    }

    fn hand_out_token(&self, client: &TcpStream, request: &Head, rules: &Rules) -> io::Result<()> {
        let expected = rules
            .login
            .as_ref()
            .map(|login| format!("Basic {}", base64(login)));
        if expected.is_some() && request.header("authorization") != expected.as_deref() {
            return respond(client, "401 Unauthorized", "", b"{}");
        }
        let token = rules.token.as_deref().unwrap_or("none");
        let body = format!("{{\"token\":\"{token}\",\"expires_in\":300}}");
        respond(
            client,
            "200 OK",
            "Content-Type: application/json\r\n",
            body.as_bytes(),
        )
    }

    fn pass_on(
        &self,
        client: &TcpStream,
        rest: BufReader<&TcpStream>,
        mut request: Head,
        is_blob: bool,
        fault: Option<Fault>,
    ) -> io::Result<()> {
        let server = TcpStream::connect(self.upstream)?;
        request
            .lines
            .retain(|line| !line.to_ascii_lowercase().starts_with("connection:"));
        request.lines.push("Connection: close".to_owned());
        (&server).write_all(&request.encode())?;
        if let Some(Fault::CutUpload { after, .. }) = fault
            && request.first.starts_with("PATCH ")
            && self.one_cut_less()
        {
            io::copy(&mut rest.take(after), &mut &server)?;
            server.shutdown(Shutdown::Both)?;
            return client.shutdown(Shutdown::Both);
        }
        let upload = server.try_clone()?;
        let body = client.try_clone()?;
        let early = rest.buffer().to_vec();
        std::thread::spawn(move || {
            (&upload)
                .write_all(&early)
                .and_then(|()| io::copy(&mut &body, &mut &upload))
                .ok();
        });
        let mut answer = BufReader::new(&server);
        let head = Head::read(&mut answer)?;
        let is_spoiled = is_blob && head.first.contains(" 20");
        match fault.filter(|_| is_spoiled) {
            Some(fault) => self.pass_spoiled(client, head, answer, fault)?,
            None => {
                (&*client).write_all(&head.encode())?;
                io::copy(&mut answer, &mut &*client)?;
            }
        }
        client.shutdown(Shutdown::Both)
    }

    fn pass_spoiled(
        &self,
        mut client: &TcpStream,
        mut head: Head,
        mut answer: impl Read,
        fault: Fault,
    ) -> io::Result<()> {
        let mut body = Vec::new();
        answer.read_to_end(&mut body)?;
        match fault {
            Fault::Cut { after, .. } if after < body.len() && self.one_cut_less() => {
                body.truncate(after);
            }
            Fault::Truncate => {
                body.truncate(body.len() / 2);
                head.lines
                    .retain(|line| !line.to_ascii_lowercase().starts_with("content-length:"));
                head.lines.push(format!("Content-Length: {}", body.len()));
            }
            Fault::WrongByte => {
                let middle = body.len() / 2;
                if let Some(byte) = body.get_mut(middle) {
                    *byte ^= 1;
                }
            }
            _ => {}
        }
        client.write_all(&head.encode())?;
        client.write_all(&body)
    }

    fn one_cut_less(&self) -> bool {
        match &mut lock(&self.rules).fault {
            Some(Fault::Cut { times, .. } | Fault::CutUpload { times, .. }) if *times > 0 => {
                *times -= 1;
                true
            }
            _ => false,
        }
    }
}

/// One of those counted, until it is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The first line and the header lines of a message.
struct Head {
    first: String,
    lines: Vec<String>,
}

impl Head {
    fn read(from: &mut impl BufRead) -> io::Result<Self> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if from.take(16 << 10).read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            lines.push(line.to_owned());
        }
        if lines.is_empty() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(Self {
            first: lines.remove(0),
            lines,
        })
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut pairs = self.lines.iter().filter_map(|line| line.split_once(':'));
        pairs
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    fn encode(&self) -> Vec<u8> {
        format!("{}\r\n{}\r\n\r\n", self.first, self.lines.join("\r\n")).into_bytes()
    }
}

fn respond(mut client: &TcpStream, status: &str, headers: &str, body: &[u8]) -> io::Result<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    client.write_all(head.as_bytes())?;
    client.write_all(body)?;
    client.shutdown(Shutdown::Both)
}

fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = chunk
            .iter()
            .fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        for index in 0..4 {
            let digit = char::from(DIGITS[(bits >> (18 - 6 * index)) & 63]);
            encoded.push(if index <= chunk.len() { digit } else { '=' });
        }
    }
    encoded
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn logins_are_encoded_as_basic_auth_has_them() {
        assert_eq!(base64("a:b"), "YTpi");
        assert_eq!(base64("user:password"), "dXNlcjpwYXNzd29yZA==");
        assert_eq!(base64("user:passwor"), "dXNlcjpwYXNzd29y");
        assert_eq!(base64("user:passw"), "dXNlcjpwYXNzdw==");
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests against a server on loopback: broken connections, wrong content,
//! authorization, redirects, limits, uploads.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use elfuse_payload::Digest;

use super::{Access, Client, RegistryError, RegistryOptions, Retry};
use crate::progress::{Progress, Quiet, Task};
use crate::reference::Reference;
use crate::store::Store;
use crate::testing::http::{Reply, Request, Server};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn options() -> RegistryOptions {
    RegistryOptions {
        // A file that is there keeps the user's own credentials out.
        auth_file: Some(empty_auth()),
        insecure: true,
        retry: Retry {
            tries: 3,
            first_wait: Duration::from_millis(1),
        },
        ..RegistryOptions::default()
    }
}

fn empty_auth() -> std::path::PathBuf {
    auth_file("{}")
}

fn auth_file(json: &str) -> std::path::PathBuf {
    let name = format!("elfuse-auth-{}.json", Digest::of(json.as_bytes()).hex());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, json).unwrap();
    path
}

fn reference(server: &Server) -> Reference {
    format!("{}/a/b:t", server.host()).parse().unwrap()
}

fn client(server: &Server, access: Access, options: &RegistryOptions) -> Client<'static> {
    Client::new(&reference(server), access, options, &Quiet).unwrap()
}

fn puller(server: &Server) -> Client<'static> {
    client(server, Access::Pull, &options())
}

fn no_task() -> Box<dyn Task> {
    Quiet.task("", None)
}

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(Some(dir.path())).unwrap();
    (dir, store)
}

fn blob_bytes() -> Vec<u8> {
    (0..100_000_u32).flat_map(u32::to_le_bytes).collect()
}

fn fetch(server: &Server, digest: Digest, size: usize) -> Result<Vec<u8>, RegistryError> {
    let (_dir, store) = store();
    let handle = puller(server).blob(&store, digest, size as u64, &*no_task())?;
    let mut bytes = Vec::new();
    handle.open().unwrap().read_to_end(&mut bytes).unwrap();
    Ok(bytes)
}

/// Where a request wants to continue.
fn range(request: &Request) -> Option<usize> {
    let range = request.header("range")?.strip_prefix("bytes=")?;
    range.trim_end_matches('-').parse().ok()
}

fn partial(bytes: &[u8], from: usize) -> Reply {
    let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
    Reply::new(206)
        .with("Content-Range", range)
        .body(&bytes[from..])
}

#[test]
fn broken_blob_is_continued_where_it_stopped() {
    let bytes = blob_bytes();
    let body = bytes.clone();
    let server = Server::start(move |request| match range(request) {
        None => Reply::new(200).body(&body[..]).cut(150_000),
        Some(from) if from < 250_000 => partial(&body, from).cut(120_000),
        Some(from) => partial(&body, from),
    });
    assert_eq!(
        fetch(&server, Digest::of(&bytes), bytes.len()).unwrap(),
        bytes
    );
    let starts: Vec<_> = server.requests().iter().map(range).collect();
    assert_eq!(starts, [None, Some(150_000), Some(270_000)]);
}

#[test]
fn server_without_ranges_is_asked_from_the_beginning() {
    let bytes = blob_bytes();
    let (body, count) = (bytes.clone(), AtomicUsize::new(0));
    let server = Server::start(move |_| {
        let reply = Reply::new(200).body(&body[..]);
        match count.fetch_add(1, Ordering::Relaxed) {
            0 => reply.cut(1000),
            _ => reply,
        }
    });
    assert_eq!(
        fetch(&server, Digest::of(&bytes), bytes.len()).unwrap(),
        bytes
    );
}

#[test]
fn partial_download_of_an_earlier_run_is_used_or_thrown_away() {
    for is_good in [true, false] {
        let bytes = blob_bytes();
        let body = bytes.clone();
        let server = Server::start(move |request| match range(request) {
            None => Reply::new(200).body(&body[..]),
            Some(from) => partial(&body, from),
        });
        let (_dir, store) = store();
        let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
        let mut ingest = store.ingest(digest, size).unwrap().unwrap();
        let start = if is_good {
            &bytes[..5000]
        } else {
            &[9; 5000][..]
        };
        ingest.keep(start).unwrap();
        drop(ingest);
        puller(&server)
            .blob(&store, digest, size, &*no_task())
            .unwrap();
        let starts: Vec<_> = server.requests().iter().map(range).collect();
        let expected: &[_] = if is_good {
            &[Some(5000)]
        } else {
            &[Some(5000), None]
        };
        assert_eq!(starts, expected);
    }
}

#[test]
fn wrong_blob_is_refused_by_digest_and_by_size() {
    let server = Server::start(|_| Reply::new(200).body("wrong"));
    let error = fetch(&server, Digest::of(b"right"), 5).unwrap_err();
    assert!(
        error.to_string().contains("the content has digest"),
        "{error}"
    );
    let error = fetch(&server, Digest::of(b"wrong"), 3).unwrap_err();
    assert!(error.to_string().contains("more bytes"), "{error}");
    let error = fetch(&server, Digest::of(b"wrong..."), 8).unwrap_err();
    assert!(error.to_string().contains("broke off"), "{error}");
}

#[test]
fn passing_errors_are_tried_again_and_final_ones_are_not() {
    for (status, tries) in [(503, 3), (500, 3), (404, 1), (400, 1), (501, 1)] {
        let server = Server::start(move |_| Reply::new(status));
        let error = puller(&server).manifest("t").unwrap_err();
        assert!(matches!(error, RegistryError::Status { .. }), "{error}");
        assert_eq!(server.requests().len(), tries, "{status}");
    }
}

#[test]
fn rate_limit_is_explained_and_not_hammered() {
    let server = Server::start(|_| {
        Reply::new(429)
            .with("ratelimit-limit", "100;w=21600")
            .with("ratelimit-remaining", "0;w=21600")
            .body(r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow\u001b[31m down"}]}"#)
    });
    let text = puller(&server).manifest("t").unwrap_err().to_string();
    for part in [
        "try again in 21600 s",
        "slow[31m down",
        "100;w=21600",
        "hint: log in",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(server.requests().len(), 1);
    let count = AtomicUsize::new(0);
    let server = Server::start(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::new(429).with("Retry-After", 0),
        _ => Reply::new(200).with("Content-Type", MANIFEST).body("{}"),
    });
    assert_eq!(puller(&server).manifest("t").unwrap().bytes, b"{}");
}

#[test]
fn manifest_is_compared_with_what_names_it() {
    let server = Server::start(|_| Reply::new(200).body("{}"));
    let wanted = Digest::of(b"{ }").to_string();
    assert!(matches!(
        puller(&server).manifest(&wanted),
        Err(RegistryError::Image(_))
    ));
    let header = wanted.clone();
    let server = Server::start(move |_| {
        Reply::new(200)
            .with("Docker-Content-Digest", &header)
            .body("{}")
    });
    assert!(matches!(
        puller(&server).manifest("t"),
        Err(RegistryError::Image(_))
    ));
    assert_eq!(puller(&server).resolve("t").unwrap(), wanted.parse().ok());
}

#[test]
fn endless_manifest_is_cut_off() {
    let server = Server::start(|_| Reply::new(200).body(vec![b' '; 5 << 20]));
    let error = puller(&server).manifest("t").unwrap_err();
    assert!(matches!(error, RegistryError::Protocol { .. }), "{error}");
}

/// A registry that wants tokens, and its service, in one server.
fn token_server(login: Option<&'static str>) -> Server {
    let host = Arc::new(Mutex::new(String::new()));
    let own = host.clone();
    let server = Server::start(move |request| {
        if request.path.starts_with("/token") {
            let is_known = request.header("authorization") == login;
            return match is_known {
                true => Reply::new(200).body(r#"{"token":"good","expires_in":60}"#),
                false => Reply::new(401),
            };
        }
        if request.header("authorization") == Some("Bearer good") {
            return Reply::new(200).with("Content-Type", MANIFEST).body("{}");
        }
        let realm = format!("http://{}/token", own.lock().unwrap());
        let scope = "repository:a/b:pull";
        let challenge = format!("Bearer realm=\"{realm}\",service=\"s\",scope=\"{scope}\"");
        Reply::new(401).with("WWW-Authenticate", challenge)
    });
    *host.lock().unwrap() = server.host();
    server
}

#[test]
fn anonymous_token_is_fetched_once_and_used_again() {
    let server = token_server(None);
    let client = puller(&server);
    client.manifest("t").unwrap();
    client.manifest("u").unwrap();
    let token = "GET /token?service=s&scope=repository%3Aa%2Fb%3Apull";
    let expected = [
        "GET /v2/a/b/manifests/t",
        token,
        "GET /v2/a/b/manifests/t",
        "GET /v2/a/b/manifests/u",
    ];
    assert_eq!(server.lines(), expected);
}

#[test]
fn token_is_fetched_with_the_credentials_of_the_registry() {
    let server = token_server(Some("Basic dTpw"));
    let json = format!(r#"{{"auths":{{"{}":{{"auth":"dTpw"}}}}}}"#, server.host());
    let mut options = options();
    options.auth_file = Some(auth_file(&json));
    client(&server, Access::Pull, &options)
        .manifest("t")
        .unwrap();
    let text = puller(&server).manifest("t").unwrap_err().to_string();
    assert!(text.contains("docker login"), "{text}");
}

#[test]
fn identity_token_is_exchanged_by_post() {
    let server = token_server(None);
    let json = format!(
        r#"{{"auths":{{"{}":{{"identitytoken":"id+/"}}}}}}"#,
        server.host()
    );
    let mut options = options();
    options.auth_file = Some(auth_file(&json));
    client(&server, Access::Pull, &options)
        .manifest("t")
        .unwrap();
    let post = &server.requests()[1];
    let body = String::from_utf8_lossy(&post.body);
    assert_eq!(post.method, "POST");
    assert!(
        body.contains("refresh_token=id%2B%2F") && body.contains("service=s"),
        "{body}"
    );
}

#[test]
fn basic_authorization_is_sent_when_asked_for() {
    let server = Server::start(|request| match request.header("authorization") {
        Some("Basic dTpw") => Reply::new(200).body("{}"),
        _ => Reply::new(401).with("WWW-Authenticate", "Basic realm=\"r\""),
    });
    let json = format!(r#"{{"auths":{{"{}":{{"auth":"dTpw"}}}}}}"#, server.host());
    let mut options = options();
    options.auth_file = Some(auth_file(&json));
    client(&server, Access::Pull, &options)
        .manifest("t")
        .unwrap();
    assert_eq!(server.requests()[0].header("authorization"), None);
    assert!(puller(&server).manifest("t").is_err());
}

#[test]
fn authorization_stays_with_its_host() {
    let other = Server::start(|_| Reply::new(200).body("blob"));
    let place = format!("http://{}/blob?signature=x", other.host());
    let server = Server::start(move |request| match request.header("authorization") {
        Some(_) => Reply::new(307).with("Location", &place),
        None => Reply::new(401).with("WWW-Authenticate", "Basic realm=\"r\""),
    });
    let json = format!(r#"{{"auths":{{"{}":{{"auth":"dTpw"}}}}}}"#, server.host());
    let mut options = options();
    options.auth_file = Some(auth_file(&json));
    let (_dir, store) = store();
    let digest = Digest::of(b"blob");
    let client = client(&server, Access::Pull, &options);
    client.blob(&store, digest, 4, &*no_task()).unwrap();
    assert_eq!(other.requests().len(), 1);
    assert_eq!(other.requests()[0].header("authorization"), None);
    // A signed address opens the blob: it must not be in a message.
    let error = client
        .blob(&store, Digest::of(b"none"), 4, &*no_task())
        .unwrap_err();
    assert!(!error.to_string().contains("signature"), "{error}");
}

#[test]
fn plain_http_is_for_this_machine_and_on_request() {
    let server = Server::start(|_| Reply::new(307).with("Location", "http://192.0.2.1/x"));
    let error = puller(&server).manifest("t").unwrap_err().to_string();
    assert!(error.contains("redirect away from HTTPS"), "{error}");
    assert_eq!(server.requests().len(), 1);
    let reference: Reference = "registry.test/a".parse().unwrap();
    let made = Client::new(&reference, Access::Pull, &options(), &Quiet);
    assert!(matches!(made.err(), Some(RegistryError::Address { .. })));
    let mut secure = options();
    secure.insecure = false;
    let error = client(&server, Access::Pull, &secure)
        .manifest("t")
        .unwrap_err();
    assert!(error.to_string().contains("hint: --insecure"), "{error}");
}

#[test]
fn who_speaks_no_tls_is_asked_once() {
    // As servers of plain HTTP do, this one answers what it does not understand.
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let reference: Reference = format!("{}/a", server.local_addr().unwrap())
        .parse()
        .unwrap();
    let asked = std::thread::spawn(move || {
        let (mut client, _) = server.accept().unwrap();
        assert!(client.read(&mut [0; 1 << 14]).unwrap() > 0);
        client
            .write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n")
            .unwrap();
        server.set_nonblocking(true).unwrap();
        server
    });
    let mut secure = options();
    secure.insecure = false;
    let client = Client::new(&reference, Access::Pull, &secure, &Quiet).unwrap();
    let error = client.manifest("t").unwrap_err().to_string();
    assert!(error.contains("hint: --insecure"), "{error}");
    let again = asked.join().unwrap().accept();
    assert!(again.is_err(), "asked again");
}

#[test]
fn mirror_is_asked_first_and_its_failure_is_survived() {
    let origin = Server::start(|_| Reply::new(200).body("{\"from\":1}"));
    let good = Server::start(|_| Reply::new(200).body("{}"));
    let bad = Server::start(|_| Reply::new(503));
    for (mirror, body) in [(&good, "{}"), (&bad, "{\"from\":1}")] {
        let mut options = options();
        let text = format!("{}={}/pre", origin.host(), mirror.host());
        options.mirrors = vec![text.parse().unwrap()];
        let fetched = client(&origin, Access::Pull, &options)
            .manifest("t")
            .unwrap();
        assert_eq!(fetched.bytes, body.as_bytes());
        assert_eq!(mirror.lines(), ["GET /v2/pre/a/b/manifests/t"]);
    }
    // A mirror on this machine may be of a registry elsewhere.
    let mut options = options();
    options.mirrors = vec![format!("registry.invalid={}", good.host()).parse().unwrap()];
    let reference: Reference = "registry.invalid/a/b".parse().unwrap();
    let client = Client::new(&reference, Access::Pull, &options, &Quiet).unwrap();
    assert_eq!(client.manifest("t").unwrap().bytes, b"{}");
    for text in ["", "a=", "=b", "h/../x", "h?x", "r=h/UP"] {
        assert!(text.parse::<super::Mirror>().is_err(), "{text}");
    }
}

/// A registry that takes uploads; `fail` breaks the request of that number.
fn upload_server(fail: usize) -> (Server, Arc<Mutex<Vec<u8>>>) {
    let stored = Arc::new(Mutex::new(Vec::new()));
    let (blob, count) = (stored.clone(), AtomicUsize::new(0));
    let server = Server::start(move |request| {
        let mut blob = blob.lock().unwrap();
        let is_broken = request.method != "GET" && count.fetch_add(1, Ordering::Relaxed) == fail;
        let at = |blob: &[u8]| format!("0-{}", blob.len().saturating_sub(1));
        let up = |reply: Reply| reply.with("Location", "/v2/a/b/blobs/uploads/1?state=x");
        match &request.method[..] {
            "HEAD" => Reply::new(404),
            "POST" => up(Reply::new(202)),
            "GET" => up(Reply::new(204)).with("Range", at(&blob)),
            _ if is_broken => {
                blob.extend(&request.body[..request.body.len() / 2]);
                Reply::new(502)
            }
            "PATCH" => {
                let range = format!("{}-{}", blob.len(), blob.len() + request.body.len() - 1);
                assert_eq!(request.header("content-range"), Some(&range[..]));
                blob.extend(&request.body);
                up(Reply::new(202)).with("Range", at(&blob))
            }
            _ if request.path.contains("/manifests/") => Reply::new(201),
            _ => {
                assert!(
                    request.path.contains("state=x&digest=sha256%3A"),
                    "{}",
                    request.path
                );
                blob.extend(&request.body);
                Reply::new(201)
            }
        }
    });
    (server, stored)
}

fn push(server: &Server, bytes: &[u8]) -> Result<bool, RegistryError> {
    let open = |from: u64| -> std::io::Result<Box<dyn Read + Send>> {
        let mut rest = std::io::Cursor::new(bytes.to_vec());
        rest.set_position(from);
        Ok(Box::new(rest))
    };
    let client = client(server, Access::Push, &options());
    client.push_blob(Digest::of(bytes), bytes.len() as u64, &open, &*no_task())
}

#[test]
fn small_blob_goes_up_in_one_request() {
    let (server, stored) = upload_server(usize::MAX);
    assert!(push(&server, b"small").unwrap());
    assert_eq!(*stored.lock().unwrap(), b"small");
    let methods: Vec<_> = server.requests().iter().map(|r| r.method.clone()).collect();
    assert_eq!(methods, ["HEAD", "POST", "PUT"]);
}

#[test]
fn broken_piece_of_a_large_blob_is_continued() {
    let bytes = vec![7; (70 << 20) + 1];
    // HEAD, POST, PATCH, and then the second PATCH.
    let (server, stored) = upload_server(3);
    assert!(push(&server, &bytes).unwrap());
    assert!(*stored.lock().unwrap() == bytes);
}

#[test]
fn stored_blob_is_not_sent_again() {
    let server = Server::start(|_| Reply::new(200).with("Content-Length", 4));
    assert!(!push(&server, b"blob").unwrap());
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn manifest_goes_up_with_its_media_type() {
    let (server, _) = upload_server(usize::MAX);
    let client = client(&server, Access::Push, &options());
    let digest = client.push_manifest("t", MANIFEST, b"{}").unwrap();
    assert_eq!(digest, Digest::of(b"{}"));
    let request = &server.requests()[0];
    assert_eq!(request.header("content-type"), Some(MANIFEST));
    assert_eq!(
        (&request.method[..], &request.path[..]),
        ("PUT", "/v2/a/b/manifests/t")
    );
}

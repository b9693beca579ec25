//! A front that answers in every form there is, and in some that there is not, drawn from a seed.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    num::NonZeroU16,
    rc::Rc,
    time::Duration,
};

use agora_chat::{
    RestClient,
    account::Password,
    errors::RestError,
    messages::Attachment,
    rest::{Fetch, RateLimits, Upload},
};
use fastrand::Rng;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
};

use crate::http::{compressed::gzip, config, server::request, token, user};

const USERS: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];
const AT_ONCE: usize = 8;
const EXCHANGES: usize = 300;

/// What the front did with the latest request of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// It gave one whole answer, with this status.
    Whole(u16),
    /// It did not.
    Torn,
    /// It gave a whole answer and then a reset, which may come to the reader first.
    Overtaken,
    /// It had sent somebody else's answer before it was asked, too late to be noticed.
    Astray,
}

/// By the number that each call carries.
type Log = Rc<RefCell<HashMap<u64, Told>>>;

struct Front {
    rng: Rng,
    log: Log,
    connection: usize,
}

/// An answer on the wire.
struct Form {
    bytes: Vec<u8>,
    /// Whether another request may follow.
    keeps: bool,
    /// Whether it ends with its connection alone.
    until_end: bool,
    /// How many of its bytes are enough: a body in chunks is whole with the line of the last one.
    enough: usize,
}

impl Front {
    fn chance(&mut self, percent: u8) -> bool {
        self.rng.u8(..100) < percent
    }

    /// Serves one connection to its end.
    async fn serve(mut self, mut stream: TcpStream) {
        let mut astray = false;
        while let Some(asked) = request(&mut stream, self.connection, 2000).await {
            let path = asked.head.split(' ').nth(1).unwrap().to_owned();
            let (number, body) = self.reply(&path, &asked.body);
            let early = path.contains("/chatfiles?") || path.ends_with("/chatfiles");
            // What is uploaded is taken whole, or refused before: the rest is left unread then.
            let refused = early && self.chance(50);
            if early && !refused && rest_of(&mut stream, &asked.head, asked.body.len()).await.is_none() {
                return;
            }
            let status = if refused { self.pick(&[401, 413, 500, 503]) } else { self.status() };
            // A download would go where it is sent.
            let status = if status == 307 && path.contains("/chatfiles/") { 404 } else { status };
            let form = self.form(status, &body);
            let text = path.contains("/chatfiles/");
            let cut = self.chance(15).then(|| self.rng.usize(..form.bytes.len()));
            // A plain connection that ends with a file says that it is whole; the front then resets it.
            let reset = self.chance(50) || (text && form.until_end);
            let told = match cut {
                _ if astray => Told::Astray,
                Some(cut) if cut < form.enough => Told::Torn,
                // The reset may overtake what went before it.
                Some(_) if reset => Told::Overtaken,
                _ => Told::Whole(status),
            };
            self.log.borrow_mut().insert(number, told);
            if self.write(&mut stream, &form.bytes[..cut.unwrap_or(form.bytes.len())]).await.is_none() {
                return;
            }
            if cut.is_some() {
                // What is cut short by a reset within the heads is no answer, nor is any part of it.
                if reset {
                    tokio::task::yield_now().await;
                    let _ = stream.set_zero_linger();
                }
                return;
            }
            if refused || astray || !form.keeps || self.chance(5) {
                // What was left unread resets the connection behind the answer.
                return;
            }
            if self.chance(10) {
                astray = true;
                let unasked = loop {
                    // One that goes on to the connection's end would be waited for.
                    let form = self.form(200, &self.grant("mallory", 0));
                    if !form.until_end {
                        break form;
                    }
                };
                if self.chance(50) {
                    tokio::time::sleep(Duration::from_millis(self.rng.u64(..3))).await;
                }
                if self.write(&mut stream, &unasked.bytes).await.is_none() {
                    return;
                }
            }
        }
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.rng.usize(..from.len())]
    }

    fn status(&mut self) -> u16 {
        if self.chance(90) { 200 } else { self.pick(&[400, 401, 403, 404, 500, 502, 307]) }
    }

    fn grant(&self, user: &str, number: u64) -> String {
        let pad = "x".repeat(self.rng.clone().usize(..3000));
        let secret = secret(user, number);
        format!(r#"{{"access_token":"{secret}","pad":"{pad}","user":{{"username":"{user}"}}}}"#)
    }

    /// The number of a call, and what it is to be answered.
    fn reply(&mut self, path: &str, body: &[u8]) -> (u64, String) {
        let text = String::from_utf8_lossy(body);
        let member = |name: &str| {
            let from = text.split(&format!(r#""{name}":""#)).nth(1).unwrap();
            from.split('"').next().unwrap().to_owned()
        };
        if path.ends_with("/token") {
            let (user, number) = (member("username"), member("password").parse().unwrap());
            return (number, self.grant(&user, number));
        }
        if let Some(rest) = path.split("/sdk/users/").nth(1) {
            // The number is at the end of the user's id.
            let number = digits(rest.split('/').next().unwrap());
            return (number, format!(r#"{{"expire_timestamp":{}}}"#, end(number)));
        }
        if let Some(id) = path.split("/chatfiles/").nth(1) {
            let number = digits(id);
            return (number, contents(number));
        }
        let number = digits(path.split("chat-target=").nth(1).unwrap());
        (number, format!(r#"{{"entities":[{{"uuid":"stored-{number}"}}]}}"#))
    }

    fn form(&mut self, status: u16, body: &str) -> Form {
        let file = body.starts_with("file");
        let mut bytes = Vec::new();
        while self.chance(25) {
            let interim = self.pick(&[100, 102, 103]);
            bytes.extend_from_slice(format!("HTTP/1.1 {interim} x\r\nLink: </x>\r\n\r\n").as_bytes());
        }
        let mut lines = Vec::new();
        let mut payload = body.as_bytes().to_vec();
        if !file && self.chance(30) {
            payload = gzip(&payload);
            lines.push("Content-Encoding: gzip".to_owned());
        }
        for line in ["X-Proxy: a, b", "Set-Cookie: a=b", "Connection: x", "Content-Encoding: identity", "Date: today"] {
            for _ in 0..self.rng.usize(..3) {
                lines.push(line.to_owned());
            }
        }
        if status == 307 {
            lines.push("Location: http://key:SECRET@127.0.0.1:1/x".to_owned());
        }
        let (mut keeps, mut version) = (true, "1.1");
        let kind = self.rng.usize(..4);
        match kind {
            0 | 1 => {
                for _ in 0..=self.rng.usize(..2) {
                    lines.push(format!("Content-Length: {}", payload.len()));
                }
            }
            2 => {
                lines.push("Transfer-Encoding: chunked".to_owned());
                payload = self.chunked(&payload);
            }
            _ => {
                keeps = false;
                version = self.pick(&["1.0", "1.1"]);
            }
        }
        if self.chance(15) {
            lines.push("connection: Close".to_owned());
            keeps = false;
        }
        self.rng.shuffle(&mut lines);
        let lines: String = lines.into_iter().map(|line| line + "\r\n").collect();
        bytes.extend_from_slice(format!("HTTP/{version} {status} x\r\n{lines}\r\n").as_bytes());
        bytes.extend_from_slice(&payload);
        let enough = if kind == 2 { bytes.len() - trailer(&payload) } else { bytes.len() };
        Form { bytes, keeps, until_end: kind == 3, enough }
    }

    fn chunked(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut chunks = Vec::new();
        let mut rest = payload;
        while !rest.is_empty() {
            let (chunk, behind) = rest.split_at(self.rng.usize(1..=rest.len()));
            let extension = self.pick(&["", ";a", " ; a=b"]);
            chunks.extend_from_slice(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
            chunks.extend_from_slice(chunk);
            chunks.extend_from_slice(b"\r\n");
            rest = behind;
        }
        chunks.extend_from_slice(self.pick(&["0\r\n\r\n", "000\r\nX: y\r\n\r\n"]).as_bytes());
        chunks
    }

    /// Writes in pieces, with pauses.
    async fn write(&mut self, stream: &mut TcpStream, mut bytes: &[u8]) -> Option<()> {
        while !bytes.is_empty() {
            let most = if self.chance(50) { bytes.len() } else { bytes.len().min(40.max(bytes.len() / 20)) };
            let (piece, rest) = bytes.split_at(self.rng.usize(1..=most));
            stream.write_all(piece).await.ok()?;
            if self.chance(20) {
                tokio::task::yield_now().await;
            }
            bytes = rest;
        }
        Some(())
    }
}

/// The length of what follows the line of the last chunk.
fn trailer(chunks: &[u8]) -> usize {
    if chunks.ends_with(b"X: y\r\n\r\n") { 8 } else { 2 }
}

/// Reads what is left of a request's body.
async fn rest_of(stream: &mut TcpStream, head: &str, mut got: usize) -> Option<()> {
    use tokio::io::AsyncReadExt as _;

    let head = head.to_ascii_lowercase();
    let length: usize = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse().ok()?;
    let mut buffer = vec![0; 1 << 16];
    while got < length {
        match stream.read(&mut buffer).await.ok()? {
            0 => return None,
            read => got += read,
        }
    }
    Some(())
}

fn digits(text: &str) -> u64 {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

fn secret(user: &str, number: u64) -> String {
    format!("token-of-{user}-{number}-{}", "y".repeat(usize::try_from(number % 700).unwrap()))
}

fn end(number: u64) -> u64 {
    1_700_000_000_000 + number
}

fn contents(number: u64) -> String {
    format!("file {number} {}", "z".repeat(usize::try_from(number * 7919 % 60_000).unwrap()))
}

/// One call by its number; an error says whose answer it got, or that it took a part for the whole.
async fn call(rest: &RestClient, rng: &mut Rng, number: u64, base: &str) -> Result<Result<(), RestError>, String> {
    let name = USERS[rng.usize(..USERS.len())];
    let own = |got: &str, wanted: &str| {
        if got == wanted { Ok(Ok(())) } else { Err(format!("got {got:.80} for {wanted:.80}")) }
    };
    let numbered = user(&format!("{name}{number}"));
    match rng.usize(..10) {
        0..7 => match rest.password_token(&user(name), &Password::new(number.to_string()).unwrap()).await {
            Ok(grant) => own(grant.token.expose(), &secret(name, number)),
            Err(failed) => Ok(Err(failed)),
        },
        7 => match rest.token_expiry(&numbered, &token()).await {
            Ok(ends) => own(&ends.to_string(), &end(number).to_string()),
            Err(failed) => Ok(Err(failed)),
        },
        8 => {
            let mut file = Attachment::at(format!("{base}/org/app/chatfiles/{number}"));
            file.length = 0;
            let outcome = match rest.download(&token(), &user(name), Fetch::new(&file)).await {
                Ok(download) => download.bytes(1 << 20).await,
                Err(failed) => Err(failed),
            };
            match outcome {
                Ok(got) => own(&String::from_utf8_lossy(&got), &contents(number)),
                Err(failed) => Ok(Err(failed)),
            }
        }
        _ => {
            let length = rng.usize(..800_000);
            let upload = Upload::bytes("a", vec![b'x'; length]);
            let upload = upload.to(agora_chat::Conversation::group(number.to_string()));
            match rest.upload(&token(), &user(name), upload).await {
                Ok(stored) => own(stored.url.rsplit('/').next().unwrap(), &format!("stored-{number}")),
                Err(failed) => Ok(Err(failed)),
            }
        }
    }
}

async fn world(seed: u64) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let log = Log::default();
    let connections = Rc::new(Cell::new(0));
    let (told, opened) = (Rc::clone(&log), Rc::clone(&connections));
    let front = actix_rt::spawn(async move {
        for connection in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            opened.set(connection + 1);
            let rng = Rng::with_seed(seed ^ (connection as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            actix_rt::spawn(Front { rng, log: Rc::clone(&told), connection }.serve(stream));
        }
    });
    let rest = RestClient::new(&config(&base).build().unwrap()).unwrap();
    let most = NonZeroU16::MAX;
    rest.set_rate_limits(RateLimits { users: most, tokens: most, other: most });
    let done = Rc::new(Cell::new((0, 0, 0)));
    let callers: Vec<_> = (0..AT_ONCE as u64)
        .map(|caller| {
            let (rest, base, log, done) = (rest.clone(), base.clone(), Rc::clone(&log), Rc::clone(&done));
            let mut rng = Rng::with_seed(seed.wrapping_add(caller));
            actix_rt::spawn(async move {
                for exchange in 0..EXCHANGES as u64 {
                    let number = exchange * AT_ONCE as u64 + caller;
                    let outcome = call(&rest, &mut rng, number, &base).await;
                    let outcome = outcome.unwrap_or_else(|wrong| panic!("seed {seed}, call {number}: {wrong}"));
                    let front = log.borrow().get(&number).copied();
                    let (good, refused, torn) = done.get();
                    match (front, &outcome) {
                        (Some(Told::Whole(200)), Ok(())) => done.set((good + 1, refused, torn)),
                        (Some(Told::Whole(status)), Err(failed))
                            if status != 200 && failed.status() == Some(status) =>
                        {
                            done.set((good, refused + 1, torn));
                        }
                        // What it got was its own, or was seen to be another's.
                        (Some(Told::Astray | Told::Overtaken), _) => done.set((good, refused, torn + 1)),
                        // Another's came before the front had read what this one asked for, and was seen to be another's.
                        (None, Err(failed))
                            if matches!(failed.kind(), agora_chat::errors::RestErrorKind::UnexpectedAnswer(_)) =>
                        {
                            done.set((good, refused, torn + 1));
                        }
                        (Some(Told::Torn), Err(_)) => done.set((good, refused, torn + 1)),
                        (front, outcome) => panic!("seed {seed}, call {number}: {front:?}, but {outcome:?}"),
                    }
                    if let Err(failed) = outcome {
                        assert!(!format!("{failed} {failed:?}").contains("SECRET"), "seed {seed}: {failed}");
                    }
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap_or_else(|failed| panic!("seed {seed}: {failed}"));
    }
    front.abort();
    let (good, refused, torn) = done.get();
    let all = AT_ONCE * EXCHANGES;
    assert_eq!(good + refused + torn, all, "seed {seed}");
    assert!(good > all / 2 && refused > all / 50 && torn > all / 50, "seed {seed}: {good} {refused} {torn}");
    assert!(connections.get() < all, "seed {seed}: some connections were used again");
}

#[actix::test]
async fn whatever_a_front_does_nobody_gets_anothers_answer_nor_a_part_for_the_whole() {
    // One that is always the same, and one that never is; a failure names its seed.
    let given = std::env::var("HTTP_SEED").ok().map(|seed| seed.parse().unwrap());
    for seed in given.map_or_else(|| vec![1, fastrand::u64(..)], |seed| vec![seed]) {
        world(seed).await;
    }
}

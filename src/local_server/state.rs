//! Everything one local server knows: users, tokens, links, sessions, and what it was told to get wrong.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    net::SocketAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use super::{
    LocalServerError,
    faults::{DevicePolicy, RefuseProvisions, RefuseUpgrades, RestFault, take_once},
    limits,
    observed::{ClientFrame, FrameKind, RestCall, SessionInfo, Stats},
    pump::Cut,
    queues::Mailbox,
    relay::Flow,
    socket::Outgoing,
};
use crate::{AppKey, Password, UserId};

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A made-up UUID.
pub(super) fn uuid() -> String {
    let (a, b) = (fastrand::u64(..), fastrand::u64(..));
    let (high, low) = (b >> 48, b & 0xffff_ffff_ffff);
    format!("{:08x}-{:04x}-4{:03x}-{:04x}-{low:012x}", a >> 32, (a >> 16) & 0xffff, a & 0xfff, 0x8000 | high & 0x3fff)
}

pub(super) struct User {
    pub(super) uuid: String,
    pub(super) password: String,
    pub(super) nickname: Option<String>,
    /// A user that is not may not log in.
    pub(super) activated: bool,
    pub(super) created_ms: u64,
    pub(super) modified_ms: u64,
    pub(super) mailbox: Mailbox,
    frames: VecDeque<ClientFrame>,
    frame_bytes: usize,
}

/// Whose a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    App,
    User(String),
}

#[derive(Clone)]
pub(super) struct Token {
    pub(super) owner: Owner,
    /// `None`: it never expires.
    pub(super) expires_ms: Option<u64>,
}

impl Token {
    pub(super) fn is_expired(&self) -> bool {
        self.expires_ms.is_some_and(|at| at <= now_ms())
    }
}

struct Link {
    flow: watch::Sender<Flow>,
}

/// One WebSocket connection.
pub(super) struct Session {
    link: SocketAddr,
    outbox: mpsc::Sender<Outgoing>,
    /// `None` until PROVISION is accepted.
    pub(super) device: Option<SessionInfo>,
}

pub(super) struct State {
    pub(super) app_key: AppKey,
    pub(super) app_uuid: String,
    pub(super) rest_url: String,
    pub(super) port: u16,
    pub(super) token_life: Option<Duration>,
    pub(super) open_registration: bool,
    pub(super) client: Option<(String, String)>,
    pub(super) devices: Option<(usize, DevicePolicy)>,
    pub(super) refuse_provisions: Option<RefuseProvisions>,
    pub(super) refuse_upgrades: Option<RefuseUpgrades>,
    pub(super) rest_faults: Vec<RestFault>,
    pub(super) silent: bool,
    pub(super) users: HashMap<String, User>,
    pub(super) sessions: BTreeMap<u64, Session>,
    pub(super) stats: Stats,
    tokens: HashMap<String, Token>,
    token_order: VecDeque<String>,
    links: HashMap<SocketAddr, Link>,
    calls: VecDeque<RestCall>,
    last_session: u64,
    last_id: u64,
}

impl State {
    pub(super) fn new(app_key: AppKey, address: SocketAddr) -> Self {
        State {
            app_key,
            app_uuid: uuid(),
            rest_url: format!("http://{address}"),
            port: address.port(),
            token_life: Some(Duration::from_secs(24 * 60 * 60)),
            open_registration: true,
            client: None,
            devices: Some((4, DevicePolicy::KickOldest)),
            refuse_provisions: None,
            refuse_upgrades: None,
            rest_faults: Vec::new(),
            silent: false,
            users: HashMap::new(),
            sessions: BTreeMap::new(),
            stats: Stats::default(),
            tokens: HashMap::new(),
            token_order: VecDeque::new(),
            links: HashMap::new(),
            calls: VecDeque::new(),
            last_session: 0,
            last_id: 0,
        }
    }

    // Users and tokens.

    pub(super) fn create_user(
        &mut self,
        user: &UserId,
        password: &str,
        nickname: Option<String>,
    ) -> Result<&User, LocalServerError> {
        let name = user.as_str();
        Password::new(password)?;
        if self.users.contains_key(name) {
            return Err(LocalServerError::UserExists(name.to_owned()));
        }
        if self.users.len() >= limits::USERS {
            return Err(LocalServerError::Full { what: "users", limit: limits::USERS });
        }
        let now = now_ms();
        let made = User {
            uuid: uuid(),
            password: password.to_owned(),
            nickname,
            activated: true,
            created_ms: now,
            modified_ms: now,
            mailbox: Mailbox::default(),
            frames: VecDeque::new(),
            frame_bytes: 0,
        };
        Ok(self.users.entry(name.to_owned()).or_insert(made))
    }

    pub(super) fn user_mut(&mut self, user: &str) -> Result<&mut User, LocalServerError> {
        let name = user.to_lowercase();
        self.users.get_mut(&name).ok_or(LocalServerError::NoSuchUser(name))
    }

    /// A new token; `life` of `None` never ends.
    pub(super) fn issue(&mut self, owner: Owner, life: Option<Duration>) -> (String, Token) {
        let [a, b, c] = [fastrand::u64(..), fastrand::u64(..), fastrand::u64(..)];
        let text = format!("YWMt{a:016x}{b:016x}{c:016x}");
        let token = self.adopt(text.clone(), owner, life);
        (text, token)
    }

    /// Makes a text a token; `life` of `None` never ends.
    pub(super) fn adopt(&mut self, text: String, owner: Owner, life: Option<Duration>) -> Token {
        let expires_ms = life.map(|life| now_ms().saturating_add(u64::try_from(life.as_millis()).unwrap_or(u64::MAX)));
        let token = Token { owner, expires_ms };
        if self.tokens.insert(text.clone(), token.clone()).is_some() {
            return token;
        }
        while self.token_order.len() >= limits::TOKENS {
            if let Some(oldest) = self.token_order.pop_front() {
                self.tokens.remove(&oldest);
            }
        }
        self.token_order.push_back(text);
        token
    }

    pub(super) fn token(&self, text: &str) -> Option<&Token> {
        self.tokens.get(text)
    }

    pub(super) fn revoke(&mut self, text: &str) -> bool {
        self.token_order.retain(|known| known != text);
        self.tokens.remove(text).is_some()
    }

    pub(super) fn revoke_all(&mut self, user: &str) {
        self.tokens.retain(|_, token| token.owner != Owner::User(user.to_owned()));
        self.token_order.retain(|text| self.tokens.contains_key(text));
    }

    /// A fresh id: 64 bits, above 2^53, larger than every one before.
    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id = (now_ms() << 20).max(self.last_id + 1);
        self.last_id
    }

    // Links and sessions.

    /// `None` when there are too many.
    pub(super) fn link_opened(&mut self, peer: SocketAddr) -> Option<watch::Receiver<Flow>> {
        if self.links.len() >= limits::LINKS {
            return None;
        }
        let (flow, receiver) = watch::channel(Flow::default());
        self.links.insert(peer, Link { flow });
        self.stats.connects += 1;
        Some(receiver)
    }

    pub(super) fn link_closed(&mut self, peer: SocketAddr) {
        self.links.remove(&peer);
        self.sessions.retain(|_, session| session.link != peer);
    }

    pub(super) fn cut_link(&mut self, peer: SocketAddr) {
        self.cut(peer, Cut::Fin);
    }

    fn cut(&mut self, peer: SocketAddr, cut: Cut) {
        if let Some(link) = self.links.get(&peer) {
            link.flow.send_modify(|flow| flow.cut = Some(cut));
        }
        self.sessions.retain(|_, session| session.link != peer);
    }

    /// Cuts the links of a user's sessions; answers how many.
    pub(super) fn cut_user(&mut self, user: &str, cut: Cut) -> usize {
        let links: Vec<_> = self.links_of(user).collect();
        for link in &links {
            self.cut(*link, cut);
        }
        links.len()
    }

    /// Cuts every link, REST calls under way included; answers how many.
    pub(super) fn cut_all(&mut self, cut: Cut) -> usize {
        for link in self.links.values() {
            link.flow.send_modify(|flow| flow.cut = Some(cut));
        }
        self.sessions.clear();
        self.links.len()
    }

    /// Stalls the links of a user's sessions, or lets them flow again; answers how many.
    pub(super) fn stall_user(&mut self, user: &str, stalled: bool) -> usize {
        let links: Vec<_> = self.links_of(user).collect();
        for link in links.iter().filter_map(|link| self.links.get(link)) {
            link.flow.send_modify(|flow| flow.stalled = stalled);
        }
        links.len()
    }

    fn links_of(&self, user: &str) -> impl Iterator<Item = SocketAddr> {
        let user = user.to_lowercase();
        self.sessions.values().filter(move |s| s.device.as_ref().is_some_and(|d| d.user == user)).map(|s| s.link)
    }

    pub(super) fn upgrade_refusal(&mut self) -> Option<RefuseUpgrades> {
        self.stats.upgrades += 1;
        take_once(&mut self.refuse_upgrades, |refusal| &mut refusal.left)
    }

    pub(super) fn session_opened(&mut self, link: SocketAddr, outbox: mpsc::Sender<Outgoing>) -> u64 {
        self.last_session += 1;
        self.sessions.insert(self.last_session, Session { link, outbox, device: None });
        self.last_session
    }

    /// Lets go of a session. What is in its outbox is still written, then the server closes the socket.
    pub(super) fn session_closed(&mut self, id: u64) {
        self.sessions.remove(&id);
    }

    /// Queues something for a client. A silent server says nothing; a client that reads too slowly is cut off.
    pub(super) fn push(&mut self, id: u64, out: Outgoing) {
        if self.silent {
            return;
        }
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        if let Err(mpsc::error::TrySendError::Full(_)) = session.outbox.try_send(out) {
            let link = session.link;
            self.stats.slow_clients += 1;
            self.cut(link, Cut::Rst);
        }
    }

    /// The sessions of a user that are logged in, oldest first.
    pub(super) fn online(&self, user: &str) -> Vec<(u64, String)> {
        let of_user = |(id, session): (&u64, &Session)| {
            session.device.as_ref().filter(|device| device.user == user).map(|device| (*id, device.resource.clone()))
        };
        self.sessions.iter().filter_map(of_user).collect()
    }

    // What was seen.

    pub(super) fn remember_frame(&mut self, session: u64, kind: FrameKind, bytes: Bytes) {
        let Some(device) = self.sessions.get(&session).and_then(|session| session.device.as_ref()) else {
            return;
        };
        let resource = device.resource.clone();
        let Some(user) = self.users.get_mut(&device.user) else {
            return;
        };
        user.frame_bytes += bytes.len();
        user.frames.push_back(ClientFrame { kind, bytes, resource, at_ms: now_ms() });
        while user.frames.len() > limits::FRAMES || (user.frame_bytes > limits::FRAME_BYTES && user.frames.len() > 1) {
            if let Some(oldest) = user.frames.pop_front() {
                user.frame_bytes -= oldest.bytes.len();
            }
        }
    }

    pub(super) fn frames_of(&self, user: &str) -> Vec<ClientFrame> {
        self.users.get(&user.to_lowercase()).map_or_else(Vec::new, |user| user.frames.iter().cloned().collect())
    }

    pub(super) fn remember_call(&mut self, method: &str, path: &str, status: u16) {
        self.stats.rest_calls += 1;
        if self.calls.len() >= limits::CALLS {
            self.calls.pop_front();
        }
        let path = path.chars().take(512).collect();
        self.calls.push_back(RestCall { method: method.to_owned(), path, status });
    }

    pub(super) fn calls(&self) -> Vec<RestCall> {
        self.calls.iter().cloned().collect()
    }

    pub(super) fn devices_online(&self) -> impl Iterator<Item = &SessionInfo> {
        self.sessions.values().filter_map(|session| session.device.as_ref())
    }

    pub(super) fn stats(&self) -> Stats {
        Stats {
            online: self.devices_online().count(),
            links: self.links.len(),
            dropped_messages: self.users.values().map(|user| user.mailbox.dropped()).sum(),
            ..self.stats
        }
    }
}

//! Everything one local server knows: users, tokens, links, sessions, and what it was told to get wrong.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    net::SocketAddr,
    time::Duration,
};

use bytes::Bytes;

use super::{
    LocalServerError,
    channels::Channels,
    faults::{DevicePolicy, RefuseProvisions, RefuseUpgrades, RestFault, SendFault},
    groups::Groups,
    history::History,
    limits,
    observed::{ClientFrame, FrameKind, RestCall, SessionInfo, Stats},
    presence::Presence,
    queues::Mailbox,
    repeats::Repeats,
    rooms::Rooms,
    rules::Rules,
    sessions::{Session, SessionLink},
    uploads::Files,
};
use crate::model::account::{AppKey, Password, UserId};
pub(super) use crate::util::unix_time::now_ms;

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
    /// Its devices logged in, oldest first: session and resource.
    pub(super) online: Vec<(u64, String)>,
    pub(super) channels: Channels,
    /// What its devices are called in the answer to PROVISION, in the place of what they call themselves.
    pub(super) named_device: Option<String>,
    /// What it tells of itself.
    pub(super) attributes: BTreeMap<String, String>,
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
    pub(super) send_faults: Vec<SendFault>,
    pub(super) silent: bool,
    pub(super) rules: Rules,
    pub(super) groups: Groups,
    pub(super) rooms: Rooms,
    pub(super) history: History,
    pub(super) repeats: Repeats,
    pub(super) files: Files,
    pub(super) presences: HashMap<String, Presence>,
    pub(super) users: HashMap<String, User>,
    pub(super) sessions: BTreeMap<u64, Session>,
    pub(super) stats: Stats,
    tokens: HashMap<String, Token>,
    token_order: VecDeque<String>,
    pub(super) links: HashMap<SocketAddr, SessionLink>,
    calls: VecDeque<RestCall>,
    pub(super) last_session: u64,
    last_id: u64,
    pub(super) last_muc: u64,
}

impl State {
    pub(super) fn new(app_key: AppKey, address: SocketAddr, rules: Rules) -> Self {
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
            send_faults: Vec::new(),
            silent: false,
            rules,
            groups: Groups::default(),
            rooms: Rooms::default(),
            history: History::default(),
            repeats: Repeats::default(),
            files: Files::default(),
            presences: HashMap::new(),
            users: HashMap::new(),
            sessions: BTreeMap::new(),
            stats: Stats::default(),
            tokens: HashMap::new(),
            token_order: VecDeque::new(),
            links: HashMap::new(),
            calls: VecDeque::new(),
            last_session: 0,
            last_id: 0,
            last_muc: 0,
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
            mailbox: Mailbox::new(self.rules.queues),
            online: Vec::new(),
            channels: Channels::default(),
            named_device: None,
            attributes: BTreeMap::new(),
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
        self.next_ids(1)
    }

    /// The first of so many fresh ids in a row.
    pub(super) fn next_ids(&mut self, count: u64) -> u64 {
        let first = (now_ms() << 20).max(self.last_id + 1);
        self.last_id = first.saturating_add(count.saturating_sub(1));
        first
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

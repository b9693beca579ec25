//! The state of one local server, in parts that own their fields.

use std::net::SocketAddr;

use bytes::Bytes;

use super::{
    data::{CallLog, Files, Groups, History, Links, Presences, Repeats, Rooms, SessionLog, Tokens, User, Users},
    error::LocalServerError,
    faults::FaultTable,
    ids::{Ids, uuid},
    observed::{ClientFrame, FrameKind, Stats},
    rates::Rates,
    settings::Settings,
};
use crate::{
    model::account::{AppKey, UserId},
    util::unix_time::now_ms,
};

/// The one application of a server, and its addresses.
pub(crate) struct App {
    pub(crate) key: AppKey,
    pub(crate) uuid: String,
    pub(crate) rest_url: String,
    pub(crate) port: u16,
}

/// The state of one server: its parts, and what concerns several of them.
pub(crate) struct State {
    pub(crate) app: App,
    pub(crate) settings: Settings,
    pub(crate) faults: FaultTable,
    pub(crate) ids: Ids,
    pub(crate) users: Users,
    pub(crate) tokens: Tokens,
    pub(crate) groups: Groups,
    pub(crate) rooms: Rooms,
    pub(crate) history: History,
    pub(crate) repeats: Repeats,
    pub(crate) files: Files,
    pub(crate) presences: Presences,
    pub(crate) links: Links,
    pub(crate) sessions: SessionLog,
    pub(crate) calls: CallLog,
    pub(crate) stats: Stats,
    pub(crate) rates: Rates,
}

impl State {
    /// Returns the state of a server that listens on this address.
    pub(crate) fn new(key: AppKey, address: SocketAddr, settings: Settings) -> Self {
        State {
            app: App { key, uuid: uuid(), rest_url: format!("http://{address}"), port: address.port() },
            settings,
            faults: FaultTable::default(),
            ids: Ids::default(),
            users: Users::default(),
            tokens: Tokens::default(),
            groups: Groups::default(),
            rooms: Rooms::default(),
            history: History::default(),
            repeats: Repeats::default(),
            files: Files::default(),
            presences: Presences::default(),
            links: Links::default(),
            sessions: SessionLog::default(),
            calls: CallLog::default(),
            stats: Stats::default(),
            rates: Rates::default(),
        }
    }

    /// Registers a user.
    pub(crate) fn create_user(
        &mut self,
        user: &UserId,
        password: &str,
        nickname: Option<String>,
    ) -> Result<&User, LocalServerError> {
        self.users.create(user, password, nickname, self.settings.queues)
    }

    /// Remembers a frame of a session that is logged in.
    pub(crate) fn log_frame(&mut self, session: u64, kind: FrameKind, bytes: Bytes) {
        let Some(device) = self.links.device(session) else {
            return;
        };
        if let Some(user) = self.users.get_mut(&device.user) {
            user.frames.push(ClientFrame { kind, bytes, resource: device.resource.clone(), at_ms: now_ms() });
        }
    }

    /// Counts and remembers a REST call.
    pub(crate) fn log_call(&mut self, method: &str, path: &str, status: u16) {
        self.stats.rest_calls += 1;
        self.calls.push(method, path, status);
    }

    /// Returns every count.
    pub(crate) fn stats(&self) -> Stats {
        Stats {
            online: self.links.devices().count(),
            links: self.links.len(),
            dropped_messages: self.users.dropped_messages(),
            online_twice: self.sessions.overlaps(),
            dropped_sessions: self.sessions.dropped(),
            ..self.stats
        }
    }
}

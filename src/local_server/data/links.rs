//! TCP links, and the WebSocket sessions on them.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
};

use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use crate::local_server::{
    net::{Cut, Flow, Outgoing},
    observed::SessionInfo,
};

struct Link {
    flow: watch::Sender<Flow>,
    session: Option<u64>,
    /// Since when a whole head of a request is awaited; `None` while one is served.
    waiting_since: Option<Instant>,
}

/// One WebSocket connection.
pub(crate) struct Session {
    link: SocketAddr,
    outbox: mpsc::Sender<Outgoing>,
    /// `None` until PROVISION is accepted.
    pub(crate) device: Option<SessionInfo>,
    /// The chat rooms it has joined.
    pub(crate) rooms: Vec<String>,
}

/// Every link and session.
#[derive(Default)]
pub(crate) struct Links {
    by_peer: HashMap<SocketAddr, Link>,
    sessions: BTreeMap<u64, Session>,
    last_session: u64,
}

impl Links {
    /// Returns the number of open links.
    pub(crate) fn len(&self) -> usize {
        self.by_peer.len()
    }

    /// Adds a link.
    pub(crate) fn open(&mut self, peer: SocketAddr) -> watch::Receiver<Flow> {
        let (flow, receiver) = watch::channel(Flow::default());
        self.by_peer.insert(peer, Link { flow, session: None, waiting_since: Some(Instant::now()) });
        receiver
    }

    /// Removes a link; returns the session that ends with it.
    pub(crate) fn close(&mut self, peer: SocketAddr) -> Option<u64> {
        self.by_peer.remove(&peer)?.session
    }

    /// Notes that a request has come whole, or that it is answered.
    pub(crate) fn set_serving(&mut self, peer: Option<SocketAddr>, serving: bool) {
        if let Some(link) = peer.and_then(|peer| self.by_peer.get_mut(&peer)) {
            link.waiting_since = (!serving).then(Instant::now);
        }
    }

    /// Returns since when the next request of a link is awaited.
    pub(crate) fn waiting_since(&self, peer: SocketAddr) -> Option<Instant> {
        self.by_peer.get(&peer)?.waiting_since
    }

    /// Cuts a link; returns the session that ends with it.
    pub(crate) fn cut(&mut self, peer: SocketAddr, cut: Cut) -> Option<u64> {
        let link = self.by_peer.get_mut(&peer)?;
        link.flow.send_modify(|flow| flow.cut = Some(cut));
        link.session.take()
    }

    /// Cuts every link; returns how many.
    pub(crate) fn cut_all(&mut self, cut: Cut) -> usize {
        for link in self.by_peer.values_mut() {
            link.flow.send_modify(|flow| flow.cut = Some(cut));
            link.session = None;
        }
        self.len()
    }

    /// Stalls a link, or lets it flow again.
    pub(crate) fn set_stalled(&self, peer: SocketAddr, stalled: bool) {
        if let Some(link) = self.by_peer.get(&peer) {
            link.flow.send_modify(|flow| flow.stalled = stalled);
        }
    }

    /// Adds a session to a link; returns its number.
    pub(crate) fn open_session(&mut self, peer: SocketAddr, outbox: mpsc::Sender<Outgoing>) -> u64 {
        self.last_session += 1;
        self.sessions.insert(self.last_session, Session { link: peer, outbox, device: None, rooms: Vec::new() });
        if let Some(link) = self.by_peer.get_mut(&peer) {
            link.session = Some(self.last_session);
        }
        self.last_session
    }

    pub(crate) fn session(&self, id: u64) -> Option<&Session> {
        self.sessions.get(&id)
    }

    pub(crate) fn session_mut(&mut self, id: u64) -> Option<&mut Session> {
        self.sessions.get_mut(&id)
    }

    pub(crate) fn remove_session(&mut self, id: u64) -> Option<Session> {
        self.sessions.remove(&id)
    }

    /// Removes every session, and returns them with their numbers.
    pub(crate) fn take_sessions(&mut self) -> impl Iterator<Item = (u64, Session)> + use<> {
        std::mem::take(&mut self.sessions).into_iter()
    }

    /// Returns the device logged in by a session.
    pub(crate) fn device(&self, id: u64) -> Option<&SessionInfo> {
        self.session(id)?.device.as_ref()
    }

    /// Returns every device logged in, the longest first.
    pub(crate) fn devices(&self) -> impl Iterator<Item = &SessionInfo> {
        self.logged_in().map(|(_, device)| device)
    }

    /// Returns every session logged in, the longest first.
    pub(crate) fn logged_in(&self) -> impl Iterator<Item = (u64, &SessionInfo)> {
        self.sessions.iter().filter_map(|(id, session)| Some((*id, session.device.as_ref()?)))
    }

    /// Returns the link a session is on.
    pub(crate) fn peer_of(&self, id: u64) -> Option<SocketAddr> {
        self.session(id).map(|session| session.link)
    }

    /// Queues a message for a client; returns the link of one that reads too slowly to take it.
    pub(crate) fn push(&self, id: u64, message: Outgoing) -> Option<SocketAddr> {
        let session = self.session(id)?;
        let full = matches!(session.outbox.try_send(message), Err(mpsc::error::TrySendError::Full(_)));
        full.then_some(session.link)
    }
}

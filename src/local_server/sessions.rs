//! Links and the sessions on them: who is online, and what ends with a link.

use std::net::SocketAddr;

use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use super::{
    faults::{RefuseUpgrades, take_once},
    observed::SessionInfo,
    pump::Cut,
    relay::Flow,
    socket::Outgoing,
    state::State,
};

pub(super) struct SessionLink {
    flow: watch::Sender<Flow>,
    session: Option<u64>,
    /// Since when a whole head of a request is awaited; `None` while one is served.
    waiting_since: Option<Instant>,
}

/// One WebSocket connection.
pub(super) struct Session {
    link: SocketAddr,
    outbox: mpsc::Sender<Outgoing>,
    /// `None` until PROVISION is accepted.
    pub(super) device: Option<SessionInfo>,
    /// The chat rooms it has joined.
    pub(super) rooms: Vec<String>,
}

impl State {
    /// `None` when there are too many.
    pub(super) fn link_opened(&mut self, peer: SocketAddr) -> Option<watch::Receiver<Flow>> {
        if self.links.len() >= self.rules.links {
            return None;
        }
        let (flow, receiver) = watch::channel(Flow::default());
        self.links.insert(peer, SessionLink { flow, session: None, waiting_since: Some(Instant::now()) });
        self.stats.connects += 1;
        Some(receiver)
    }

    pub(super) fn link_closed(&mut self, peer: SocketAddr) {
        if let Some(session) = self.links.remove(&peer).and_then(|link| link.session) {
            self.session_closed(session);
        }
    }

    /// A request has come whole, or is answered.
    pub(super) fn link_serves(&mut self, peer: Option<SocketAddr>, serves: bool) {
        if let Some(link) = peer.and_then(|peer| self.links.get_mut(&peer)) {
            link.waiting_since = (!serves).then(Instant::now);
        }
    }

    /// Since when a link is waited for.
    pub(super) fn link_waits(&self, peer: SocketAddr) -> Option<Instant> {
        self.links.get(&peer)?.waiting_since
    }

    pub(super) fn cut_link(&mut self, peer: SocketAddr) {
        self.cut(peer, Cut::Fin);
    }

    fn cut(&mut self, peer: SocketAddr, cut: Cut) {
        let Some(link) = self.links.get_mut(&peer) else {
            return;
        };
        link.flow.send_modify(|flow| flow.cut = Some(cut));
        if let Some(session) = link.session.take() {
            self.session_closed(session);
        }
    }

    /// Cuts the links of a user's sessions; answers how many.
    pub(super) fn cut_user(&mut self, user: &str, cut: Cut) -> usize {
        let links = self.links_of(user);
        for link in &links {
            self.cut(*link, cut);
        }
        links.len()
    }

    /// Cuts every link, REST calls under way included; answers how many.
    pub(super) fn cut_all(&mut self, cut: Cut) -> usize {
        for link in self.links.values_mut() {
            link.flow.send_modify(|flow| flow.cut = Some(cut));
            link.session = None;
        }
        self.forget_sessions();
        self.links.len()
    }

    /// Lets go of every session at once: nobody is left to be told.
    pub(super) fn forget_sessions(&mut self) {
        for (_, session) in std::mem::take(&mut self.sessions) {
            if let Some(device) = session.device
                && let Some(user) = self.users.get_mut(&device.user)
            {
                user.online.clear();
            }
        }
        self.rooms.empty_all();
    }

    /// Stalls the links of a user's sessions, or lets them flow again; answers how many.
    pub(super) fn stall_user(&mut self, user: &str, stalled: bool) -> usize {
        let links = self.links_of(user);
        for link in links.iter().filter_map(|link| self.links.get(link)) {
            link.flow.send_modify(|flow| flow.stalled = stalled);
        }
        links.len()
    }

    fn links_of(&self, user: &str) -> Vec<SocketAddr> {
        let online = self.online(&user.to_lowercase());
        online.iter().filter_map(|(id, _)| self.sessions.get(id)).map(|session| session.link).collect()
    }

    pub(super) fn upgrade_refusal(&mut self) -> Option<RefuseUpgrades> {
        self.stats.upgrades += 1;
        take_once(&mut self.refuse_upgrades, |refusal| &mut refusal.left)
    }

    pub(super) fn session_opened(&mut self, link: SocketAddr, outbox: mpsc::Sender<Outgoing>) -> u64 {
        self.last_session += 1;
        self.sessions.insert(self.last_session, Session { link, outbox, device: None, rooms: Vec::new() });
        if let Some(link) = self.links.get_mut(&link) {
            link.session = Some(self.last_session);
        }
        self.last_session
    }

    /// A session has proved who it is.
    pub(super) fn session_provisioned(&mut self, id: u64, device: SessionInfo) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let (name, resource) = (device.user.clone(), device.resource.clone());
        session.device = Some(device);
        if let Some(user) = self.users.get_mut(&name) {
            user.online.push((id, resource));
        }
        self.device_changed(&name, None);
    }

    /// Lets go of a session, and with it of its places in chat rooms. What is in its outbox is still written, then the
    /// server closes the socket.
    pub(super) fn session_closed(&mut self, id: u64) {
        let Some(Session { device: Some(device), rooms, .. }) = self.sessions.remove(&id) else {
            return;
        };
        if let Some(user) = self.users.get_mut(&device.user) {
            user.online.retain(|(other, _)| *other != id);
        }
        for room in rooms {
            self.out_of_room(&room, id);
        }
        self.device_changed(&device.user, Some(&device.resource));
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
        self.users.get(user).map_or_else(Vec::new, |user| user.online.clone())
    }
}

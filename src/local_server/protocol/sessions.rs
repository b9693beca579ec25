//! Sessions beginning and ending, and the links they are on.

use std::net::SocketAddr;

use tokio::sync::watch;

use crate::local_server::{
    data::Session,
    net::{Cut, Flow, Outgoing},
    observed::{SessionEnd, SessionInfo},
    rates::Activity,
    state::State,
};
use crate::model::error::Code;

impl State {
    /// Adds a link; `None` when there are too many.
    pub(crate) fn link_opened(&mut self, peer: SocketAddr) -> Option<watch::Receiver<Flow>> {
        if self.links.len() >= self.settings.links {
            return None;
        }
        self.stats.connects += 1;
        self.rates.count(Activity::Links);
        Some(self.links.open(peer))
    }

    /// Removes a link and ends its session.
    pub(crate) fn link_closed(&mut self, peer: SocketAddr) {
        if let Some(session) = self.links.close(peer) {
            self.session_closed(session, SessionEnd::Link);
        }
    }

    /// Cuts a link and ends its session.
    pub(crate) fn cut_link(&mut self, peer: SocketAddr, cut: Cut) {
        if let Some(session) = self.links.cut(peer, cut) {
            self.session_closed(session, SessionEnd::Link);
        }
    }

    /// Cuts the links of a user's sessions; returns how many.
    pub(crate) fn cut_user(&mut self, user: &str, cut: Cut) -> usize {
        let links = self.links_of(user);
        for link in &links {
            self.cut_link(*link, cut);
        }
        links.len()
    }

    /// Cuts the links of a share of the sessions, drawn from a seed; returns how many.
    pub(crate) fn cut_some(&mut self, share: f64, seed: u64, cut: Cut) -> usize {
        let mut sessions: Vec<(&str, &str, u64)> =
            self.links.logged_in().map(|(id, device)| (device.user.as_str(), device.resource.as_str(), id)).collect();
        // The order in which they came does not decide, so that a run can be repeated.
        sessions.sort_unstable();
        let many = (sessions.len() as f64 * share.clamp(0.0, 1.0)).round() as usize;
        let drawn = fastrand::Rng::with_seed(seed).choose_multiple(sessions, many);
        let links: Vec<_> = drawn.into_iter().filter_map(|(.., id)| self.links.peer_of(id)).collect();
        for link in &links {
            self.cut_link(*link, cut);
        }
        links.len()
    }

    /// Cuts every link, including those of REST calls under way; returns how many.
    pub(crate) fn cut_all(&mut self, cut: Cut) -> usize {
        let links = self.links.cut_all(cut);
        self.forget_sessions();
        links
    }

    /// Ends every session at once, without notices: nobody is left to get them.
    pub(crate) fn forget_sessions(&mut self) {
        for (id, session) in self.links.take_sessions() {
            self.sessions.end(id, SessionEnd::Link, None);
            if let Some(device) = session.device
                && let Some(user) = self.users.get_mut(&device.user)
            {
                user.online.clear();
            }
        }
        self.rooms.empty_all();
    }

    /// Stalls the links of a user's sessions, or lets them flow again; returns how many.
    pub(crate) fn stall_user(&mut self, user: &str, stalled: bool) -> usize {
        let links = self.links_of(user);
        for link in &links {
            self.links.set_stalled(*link, stalled);
        }
        links.len()
    }

    fn links_of(&self, user: &str) -> Vec<SocketAddr> {
        let online = self.users.online(&user.to_lowercase());
        online.iter().filter_map(|(id, _)| self.links.peer_of(*id)).collect()
    }

    /// Logs a session in.
    pub(crate) fn session_provisioned(&mut self, id: u64, device: SessionInfo) {
        let Some(session) = self.links.session_mut(id) else {
            return;
        };
        let (name, resource) = (device.user.clone(), device.resource.clone());
        session.device = Some(device);
        if let Some(user) = self.users.get_mut(&name) {
            self.sessions.begin(id, &name, &resource, user.online.iter().map(|(other, _)| *other));
            user.online.push((id, resource));
        }
        self.stats.logins += 1;
        self.rates.count(Activity::Logins);
        self.device_changed(&name, None);
    }

    /// Ends a session. Messages in its outbox are still written, then the server closes the socket.
    pub(crate) fn session_closed(&mut self, id: u64, end: SessionEnd) {
        self.end_session(id, end, None);
    }

    /// Ends a session that was sent a kick of this code, if of any, and with it its places in chat rooms.
    pub(crate) fn end_session(&mut self, id: u64, end: SessionEnd, code: Option<Code>) {
        let Some(Session { device: Some(device), rooms, .. }) = self.links.remove_session(id) else {
            return;
        };
        self.sessions.end(id, end, code);
        // Another session may have the same resource.
        let mut gone = Some(device.resource.as_str());
        if let Some(user) = self.users.get_mut(&device.user) {
            user.online.retain(|(other, _)| *other != id);
            gone = gone.filter(|gone| user.online.iter().all(|(_, resource)| resource != gone));
        }
        for room in rooms {
            self.exit_room(&room, id);
        }
        self.device_changed(&device.user, gone);
    }

    /// Queues a message for a client. A silent server sends nothing; a client that reads too slowly is cut off.
    pub(crate) fn push(&mut self, id: u64, message: Outgoing) {
        if self.faults.silent {
            return;
        }
        if let Some(link) = self.links.push(id, message) {
            self.stats.slow_clients += 1;
            self.cut_link(link, Cut::Rst);
        }
    }
}

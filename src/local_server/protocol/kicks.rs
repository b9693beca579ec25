//! Kicks (connection spec §9).

use crate::{
    local_server::{net::Outgoing, observed::SessionEnd, protocol::frames, state::State},
    model::error::Kick,
    wire::{StatisticsBody, statistics_body::Operation},
};

impl State {
    /// Kicks a user's devices, or one of them; returns how many.
    pub(crate) fn kick(&mut self, user: &str, resource: Option<&str>, kick: &Kick) -> usize {
        let mut kicked = self.users.online(&user.to_lowercase());
        kicked.retain(|(_, name)| resource.is_none_or(|resource| resource == name));
        for (id, _) in &kicked {
            self.kick_session(*id, kick, SessionEnd::Kicked);
        }
        kicked.len()
    }

    /// Kicks one session, which is logged to end so.
    pub(crate) fn kick_session(&mut self, id: u64, kick: &Kick, end: SessionEnd) {
        let Some(device) = self.links.device(id).cloned() else {
            return;
        };
        let (operation, reason) = match kick {
            Kick::UserRemoved => (Operation::UserRemoved, None),
            Kick::LoggedInElsewhere { ext } => {
                (Operation::UserLoginAnotherDevice, ext.as_ref().map(|ext| ext.as_str().to_owned()))
            }
            Kick::PasswordChanged => (Operation::UserKickedByChangePassword, None),
            Kick::ByOtherDevice => (Operation::UserKickedByOtherDevice, None),
        };
        let body = StatisticsBody { operation: Some(operation as i32), reason, ..StatisticsBody::default() };
        let meta_id = self.ids.next();
        let frame = frames::kick(&self.app.key, meta_id, &device.user, &device.resource, &body);
        self.push(id, Outgoing::Binary(frame));
        self.end_session(id, end, Some(kick.code()));
    }
}

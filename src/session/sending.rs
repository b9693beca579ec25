//! Sends and their answers.

use super::{
    Action, answer,
    life::{Phase, Purpose, Session},
    world::Context,
};
use crate::{
    Outgoing, SendError, Sent,
    wire::{CommSyncDl, CommSyncUl, MSync},
};

impl Session {
    /// The answer to a send; one that nobody waits for is ignored (messages spec §1.9).
    pub(super) fn answered(&mut self, sync: &CommSyncDl, context: &mut Context<'_>) {
        let client_id = sync.meta_id.unwrap_or(0);
        if !self.sends.answered(client_id) {
            return;
        }
        let outcome = match &sync.status {
            Some(status) => answer::classify(status).map_err(|error| match error {
                SendError::Refused { code, status, reason } => {
                    SendError::Refused { code, status, reason: self.shown(reason) }
                }
                other => other,
            }),
            // The web SDK waits for ever here; 604 says that the answer cannot be used.
            None => Err(SendError::Refused {
                code: crate::Code::LOAD_MESSAGE_ERROR,
                status: 0,
                reason: "the answer has no status".to_owned(),
            }),
        };
        let outcome = outcome.map(|()| Sent::new(client_id, sync.server_id.unwrap_or(0), sync.timestamp.unwrap_or(0)));
        context.out.push(Action::Sent { client_id, outcome });
    }

    pub(super) fn send(&mut self, client_id: u64, message: Outgoing, context: &mut Context<'_>) {
        let config = &context.world.config;
        let refused = match &self.phase {
            Phase::Online(_) if self.sends.len() >= config.limits.pending_sends => {
                Some(SendError::Backlog { limit: config.limits.pending_sends })
            }
            Phase::Online(_) if client_id == 0 || self.sends.contains(client_id) => {
                Some(SendError::Invalid(format!("the client id {client_id} is 0 or in use")))
            }
            Phase::Online(_) => None,
            Phase::LoggingOut { .. } => Some(SendError::NotLoggedIn),
            Phase::Entering { purpose: Purpose::Resume, .. } | Phase::Waiting { purpose: Purpose::Resume, .. } => {
                Some(SendError::Reconnecting)
            }
            Phase::Entering { .. } | Phase::Waiting { .. } => Some(SendError::NotLoggedIn),
        };
        if let Some(error) = refused {
            context.out.push(Action::Sent { client_id, outcome: Err(error) });
            return;
        }
        let meta = message.into_meta(client_id, &config.app_key, &self.user);
        let frame = MSync::client_sync(&CommSyncUl::send(meta)).to_bytes();
        let (bytes, limit) = (frame.len(), config.limits.frame.min(config.limits.outbox));
        if bytes > limit {
            context.out.push(Action::Sent { client_id, outcome: Err(SendError::TooLarge { bytes, limit }) });
            return;
        }
        self.sends.push(client_id, context.after(config.send_timeout));
        context.transmit("send", frame);
    }
}

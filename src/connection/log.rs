//! Log records of a connection: their texts, and which of them are warnings. Nothing of consequence happens here.

use std::time::Duration;

use actix_rt::time::Instant;
use slog::{Logger, debug, info, o, trace, warn};

use super::transient_failures::TransientFailures;
use crate::{
    model::{
        ConnectionState, EventKind,
        account::{Token, UserId},
        error::{Code, LossCause, OpenError},
    },
    session::Diagnostic,
    util::unix_time,
};

macro_rules! warn_or_info {
    ($warns:expr, $($record:tt)*) => {
        if $warns { warn!($($record)*) } else { info!($($record)*) }
    };
}

pub(super) struct SessionLog {
    pub(super) logger: Logger,
    begun: Instant,
    outage: TransientFailures,
    unrenewed: TransientFailures,
}

impl SessionLog {
    pub(super) fn new(logger: Logger) -> Self {
        SessionLog {
            logger,
            begun: Instant::now(),
            outage: TransientFailures::default(),
            unrenewed: TransientFailures::default(),
        }
    }

    pub(super) fn of_user(&mut self, logger: &Logger, user: &UserId) {
        self.logger = logger.new(o!("user" => user.to_string()));
    }

    /// Warns of what will probably make the service refuse a token.
    pub(super) fn inspect(&self, token: &Token, user: &UserId) {
        for problem in token.inspect().problems(unix_time::now_ms(), Some(user), None) {
            warn!(self.logger, "the token will probably be refused"; "why" => %problem);
        }
    }

    pub(super) fn login_failed(&self, error: &OpenError) {
        match error {
            // `disconnected` says it.
            OpenError::Ended { .. } | OpenError::Refused { .. } => {}
            // The session goes on.
            OpenError::AlreadyOpen { .. } | OpenError::InProgress { .. } => {
                info!(self.logger, "a second login was refused"; "code" => error.code().number(), "error" => %error);
            }
            _ => warn!(self.logger, "login failed"; "code" => error.code().number(), "error" => %error),
        }
    }

    pub(super) fn event(&mut self, kind: &EventKind, state: ConnectionState) {
        match kind {
            EventKind::Connected { resumed } => {
                let outage = self.outage.over(self.begun.elapsed());
                info!(self.logger, "connected"; "resumed" => resumed, "outage" => outage.map(|lasted| format!("{lasted:.1?}")));
            }
            EventKind::Reconnecting { attempt, delay, cause } => {
                // Somebody else wants the account's place.
                let kicked = matches!(cause, LossCause::Kicked(_));
                let warns = self.outage.failed(self.begun.elapsed(), *delay);
                let text = match state {
                    ConnectionState::LoggingIn { .. } => "login attempt failed, trying again",
                    _ => "the link is lost, trying again",
                };
                warn_or_info!(warns || kicked, self.logger, "{text}"; "attempt" => attempt,
                    "delay" => ?delay, "code" => cause.code().number(), "cause" => %cause);
            }
            EventKind::Disconnected { reason } => {
                (self.outage, self.unrenewed) = (TransientFailures::default(), TransientFailures::default());
                // Nothing is tried after it, so unless it was asked for it is the last chance to say so.
                let code = reason.code().map(Code::number);
                warn_or_info!(!reason.is_asked(), self.logger, "disconnected"; "code" => code,
                    "reason" => %reason);
            }
            EventKind::Flapping { sessions, window, floor } => {
                warn!(self.logger, "the link comes and goes; does another program use this account and resource?";
                    "short_sessions" => sessions, "within" => ?window, "least_pause" => ?floor);
            }
            EventKind::TokenWillExpire { expires_in, .. } => {
                info!(self.logger, "the token will expire"; "in" => ?expires_in);
            }
            EventKind::TokenExpired => warn!(self.logger, "the token has expired"),
            EventKind::Message(message) => trace!(self.logger, "message in"; "id" => message.id),
            EventKind::OfflineSyncStarted { queues, messages } => {
                debug!(self.logger, "what waited begins to come"; "queues" => queues, "messages" => messages);
            }
            EventKind::OfflineSyncFinished { queues, messages, complete } => {
                debug!(self.logger, "what waited has come"; "queues" => queues, "messages" => messages,
                    "complete" => complete);
            }
            EventKind::Missed { .. } => {}
            EventKind::Unknown(notice) => {
                debug!(self.logger, "a notice of a kind this release does not know";
                    "id" => notice.id, "namespace" => notice.namespace, "bytes" => notice.payload.len());
            }
            notice => trace!(self.logger, "notice in"; "kind" => ?notice.mask()),
        }
    }

    pub(super) fn diagnostic(&mut self, diagnostic: &Diagnostic, logging_in: bool) {
        match diagnostic {
            Diagnostic::KeptTokenRefused(refusal) => {
                info!(self.logger, "the kept token is refused, the password fetches another"; "refusal" => %refusal);
            }
            Diagnostic::StateUnread { limit } => {
                warn!(self.logger, "the state folder does not answer; the login goes on as a new device, without a kept token";
                    "within" => ?limit);
            }
            Diagnostic::KeptTokenTried => {
                info!(self.logger, "no new token, trying the kept one though its end seems to have passed");
            }
            Diagnostic::Undecodable { length, error } => {
                warn!(self.logger, "dropped what does not decode"; "bytes" => length, "error" => %error);
            }
            Diagnostic::MoreUndecodable { count } => {
                warn!(self.logger, "dropped more of what does not decode"; "count" => count);
            }
            Diagnostic::QueueNameTooLong { count, limit } => {
                warn!(self.logger, "ignored queues whose names are too long"; "count" => count, "limit" => limit);
            }
            Diagnostic::ResourceTaken { from, to } => {
                info!(self.logger, "the service names this device otherwise"; "from" => &**from, "to" => &**to);
            }
            Diagnostic::ResourceIgnored { bytes, count } => {
                warn!(self.logger, "the service gives this device a name that none can have; it keeps its own";
                    "bytes" => bytes, "count" => count);
            }
            Diagnostic::FalseClaims { count, from, claims } => {
                warn!(self.logger, "somebody pretends to be another sender or in another conversation; the service's word counts";
                    "count" => count, "from" => &**from, "claims_from" => claims.from.as_deref(),
                    "claims_to" => claims.to.as_deref(), "claims_kind" => claims.chat.map(|chat| format!("{chat:?}")));
            }
            Diagnostic::QueueBreaksLinks { queue, setting } => {
                let advice = setting.map(|setting| format!("raise `{setting}`"));
                warn!(self.logger, "a conversation's page breaks the link; it is fetched after all others from now on";
                    "conversation" => &**queue, "advice" => advice);
            }
            Diagnostic::Unexpected { frame } => debug!(self.logger, "dropped an unexpected frame"; "frame" => frame),
            Diagnostic::Redirected { url, hop } => info!(self.logger, "redirected"; "url" => %url, "hop" => hop),
            Diagnostic::LoginRetry { attempt, delay, cause } => {
                let warns = self.outage.failed(self.begun.elapsed(), *delay);
                warn_or_info!(warns, self.logger, "login attempt failed, trying again"; "attempt" => attempt,
                    "delay" => ?delay, "cause" => %cause);
            }
            Diagnostic::DiscoveryFailed(error) => {
                info!(self.logger, "discovery failed, using the addresses known before"; "error" => %error);
            }
            Diagnostic::TokenRenewed { expires_at } => {
                self.unrenewed = TransientFailures::default();
                info!(self.logger, "the token is renewed"; "expires_at_ms" => expires_at);
            }
            Diagnostic::TokenNotRenewed { error, again } => {
                // One that is not asked for again never mends; of a login that fails with it, that says so.
                let ends_login = again.is_none() && logging_in;
                let warns = !ends_login && self.unrenewed.failed(self.begun.elapsed(), again.unwrap_or(Duration::MAX));
                warn_or_info!(warns, self.logger, "no new token"; "again_in" => ?again, "error" => %error);
            }
            Diagnostic::RoomNotRejoined { room, error } => {
                warn!(self.logger, "a chat room was not joined again; join it anew"; "room" => &**room, "error" => %error);
            }
            Diagnostic::RoomNotKept { room, limit } => {
                warn!(self.logger, "too many chat rooms: this one will not be joined again after a lost link";
                    "room" => &**room, "limit" => limit);
            }
            Diagnostic::ReceiptsLeftOut { count } => {
                warn!(self.logger, "delivery receipts were left out, too many sends are unanswered"; "count" => count);
            }
            Diagnostic::ReceiptsUnanswered { count } => {
                warn!(self.logger, "delivery receipts are not answered; the service may not know them"; "count" => count);
            }
            Diagnostic::Unheard => {
                warn!(self.logger, "messages come that no subscriber wants; add subscribers before open")
            }
            Diagnostic::BrokenMetas { count } => {
                warn!(self.logger, "messages do not decode; they go on as unknown"; "count" => count)
            }
            Diagnostic::PageDropped { bytes } => {
                debug!(self.logger, "no room for a page, so it is to come again"; "bytes" => bytes);
            }
            Diagnostic::PageStatus { status } => warn!(self.logger, "a page came with a status"; "status" => status),
        }
    }
}

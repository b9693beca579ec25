//! Carries an account's token into its state folder and out of it again.

use std::sync::{Arc, Mutex, PoisonError};

use slog::{Logger, warn};

use crate::{
    AppKey, Config, ConnectionState, Credentials, Device, DisconnectReason, Kick, StateDir, StateError, UserId,
    session::Engine,
    state::KeptToken,
    threads::{self, Single},
};

/// What one account keeps. Writes go to threads of their own, one at a time, where the newest one wins.
pub(super) struct Keeper {
    account: Arc<Account>,
    /// What the file holds, or will.
    kept: Option<KeptToken>,
}

struct Account {
    state: StateDir,
    app_key: AppKey,
    user: UserId,
    log: Logger,
    work: Single,
    /// The newest change that is not made yet.
    next: Mutex<Option<Change>>,
    /// Held while a change is made, so that an older one never comes after a newer.
    writing: Mutex<()>,
}

enum Change {
    Keep(KeptToken),
    Forget,
}

impl Account {
    fn write(&self) {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner).take();
        let done = match next {
            Some(Change::Keep(token)) => self.state.keep_token(&self.app_key, &self.user, &token),
            Some(Change::Forget) => self.state.forget_token(&self.app_key, &self.user),
            None => Ok(()),
        };
        if let Err(error) = done {
            warn!(self.log, "the token is not kept over a restart"; "error" => %error);
        }
    }
}

impl Keeper {
    pub(super) fn new(config: &Config, state: &StateDir, user: &UserId, log: &Logger) -> Self {
        let account = Account {
            state: state.clone(),
            app_key: config.app_key.clone(),
            user: user.clone(),
            log: log.clone(),
            work: Single::default(),
            next: Mutex::new(None),
            writing: Mutex::new(()),
        };
        Keeper { account: Arc::new(account), kept: None }
    }

    pub(super) fn is_of(&self, user: &UserId) -> bool {
        self.account.user == *user
    }

    /// The device to log in as: the kept one, unless the application chose one itself.
    pub(super) fn device(&self, configured: &Device) -> Device {
        if !configured.is_random() {
            return configured.clone();
        }
        let Account { state, app_key, user, log, .. } = &*self.account;
        let kept = state.identity(app_key, user, configured).or_else(|error| match error {
            StateError::Damaged { .. } => {
                warn!(log, "a damaged file is set aside; this is a new device to the service"; "error" => %error);
                state.identity(app_key, user, configured)
            }
            error => Err(error),
        });
        match kept {
            Ok(kept) => {
                let mut device = configured.clone();
                (device.resource, device.uuid) = (kept.resource, kept.uuid);
                device
            }
            Err(error) => {
                warn!(log, "the device's identity is not kept over a restart"; "error" => %error);
                configured.clone()
            }
        }
    }

    /// Adds the kept token to a login by password or provider.
    pub(super) fn recall(&mut self, credentials: Credentials, wall: u64) -> Credentials {
        let account = &*self.account;
        // What the last session left to write comes first.
        account.write();
        self.kept = account.state.token(&account.app_key, &account.user).unwrap_or_else(|error| {
            warn!(account.log, "the kept token cannot be used"; "error" => %error);
            None
        });
        credentials.with_kept(self.kept.clone(), wall)
    }

    /// Keeps the token of a session that the service has accepted.
    pub(super) fn follow(&mut self, engine: &Engine) {
        if !matches!(engine.state(), ConnectionState::Online | ConnectionState::Reconnecting { .. }) {
            return;
        }
        let (Some(token), expires_at) = (engine.token(), engine.token_expires_at()) else { return };
        if self.kept.as_ref().is_some_and(|kept| kept.token == *token && kept.expires_at == expires_at) {
            return;
        }
        let token = KeptToken { token: token.clone(), expires_at };
        self.kept = Some(token.clone());
        self.change(Change::Keep(token));
    }

    /// Removes a token that ended with its session.
    pub(super) fn ended(&mut self, reason: &DisconnectReason) {
        let dead = match reason {
            DisconnectReason::Kicked(kick) => matches!(kick, Kick::UserRemoved | Kick::PasswordChanged),
            DisconnectReason::Refused(refusal) => refusal.is_of_token(),
            // A wrong password ends a session only after its token was refused.
            DisconnectReason::TokenExpired | DisconnectReason::Rest(_) => true,
            _ => false,
        };
        if dead {
            self.forget();
        }
    }

    pub(super) fn forget(&mut self) {
        self.kept = None;
        self.change(Change::Forget);
    }

    fn change(&self, change: Change) {
        *self.account.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(change);
        let account = Arc::clone(&self.account);
        // Nobody waits for it: what the process's end keeps from being written costs one REST call later.
        self.account.work.run(&threads::FILES, move || account.write());
    }
}

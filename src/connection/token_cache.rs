//! Carries an account's token into its state folder and out of it again.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use slog::{Logger, warn};

use crate::{
    config::Config,
    model::{
        account::{AppKey, Device, UserId},
        auth::TokenGrant,
        error::StateError,
    },
    store::{self, StateDir},
    util::threads::{self, Serial, Single, Unfinished},
};

/// Token cache of one account. Threads of its own read and write, one job at a time; the newest write wins.
pub(super) struct TokenCache {
    account: Arc<AccountFiles>,
    kept: Option<TokenGrant>,
}

struct AccountFiles {
    state: StateDir,
    app_key: AppKey,
    user: UserId,
    log: Logger,
    line: Serial,
    writes: Single,
    next: Mutex<Option<Change>>,
}

pub(super) struct Loaded {
    pub(super) device: Device,
    pub(super) token: Option<TokenGrant>,
}

enum Change {
    Keep(TokenGrant),
    Forget,
}

impl AccountFiles {
    /// Returns the device to log in as: the kept one, unless the application chose one itself.
    fn device(&self, configured: &Device) -> Device {
        if !configured.is_random() {
            return configured.clone();
        }
        let AccountFiles { state, app_key, user, log, .. } = self;
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

    fn token(&self) -> Option<TokenGrant> {
        self.state.token(&self.app_key, &self.user).unwrap_or_else(|error| {
            warn!(self.log, "the kept token cannot be used"; "error" => %error);
            None
        })
    }

    fn write(&self) {
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

impl TokenCache {
    pub(super) fn new(config: &Config, state: &StateDir, user: &UserId, log: &Logger) -> Self {
        let line = state.place(&config.app_key, user).line();
        let account = AccountFiles {
            state: state.clone(),
            app_key: config.app_key.clone(),
            user: user.clone(),
            log: log.clone(),
            writes: Single::on(line.clone()),
            line,
            next: Mutex::new(None),
        };
        TokenCache { account: Arc::new(account), kept: None }
    }

    pub(super) fn is_of(&self, user: &UserId) -> bool {
        self.account.user == *user
    }

    /// Loads the account's state, and creates a device where it has none.
    pub(super) fn recall(&self, configured: &Device) -> impl Future<Output = Result<Loaded, Unfinished>> + use<> {
        let (account, configured) = (Arc::clone(&self.account), configured.clone());
        let line = account.line.clone();
        async move {
            let read = move || {
                // What the last session left to write comes first.
                account.write();
                store::tell_exposed(account.state.path(), &account.log);
                Loaded { device: account.device(&configured), token: account.token() }
            };
            // Whoever waits has less patience.
            line.run(Serial::PATIENCE, read).await
        }
    }

    pub(super) fn holds(&mut self, kept: Option<TokenGrant>) {
        self.kept = kept;
    }

    pub(super) fn store(&mut self, grant: TokenGrant) {
        if self.kept.as_ref() != Some(&grant) {
            self.kept = Some(grant.clone());
            self.change(Change::Keep(grant));
        }
    }

    pub(super) fn forget(&mut self) {
        self.kept = None;
        self.change(Change::Forget);
    }

    fn change(&self, change: Change) {
        *self.account.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(change);
        let account = Arc::clone(&self.account);
        // Only the session's end waits for it: a lost write costs one REST call later.
        self.account.writes.run(&threads::FILES, move || account.write());
    }
}

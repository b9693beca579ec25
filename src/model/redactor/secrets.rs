use std::{collections::VecDeque, sync::Arc};

use secrecy::{ExposeSecret, SecretString};

use super::Redactor;
use crate::{
    model::{
        account::{Password, Token},
        message::FileSecret,
    },
    util::impls::impl_from,
};

#[derive(Default)]
pub(super) struct Secrets {
    pub(super) account: VecDeque<Secret>,
    pub(super) tokens: VecDeque<Secret>,
    pub(super) others: VecDeque<Secret>,
    pub(super) proxies: VecDeque<Secret>,
    leased: Vec<(u64, Secret)>,
    last_lease: u64,
}

impl Secrets {
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        let kept = [&self.account, &self.tokens, &self.others, &self.proxies].into_iter().flatten();
        kept.chain(self.leased.iter().map(|(_, secret)| secret)).map(Secret::expose)
    }
}

/// Puts a secret in the newest place; the oldest goes where there are too many.
pub(super) fn remember(held: &mut VecDeque<Secret>, secret: Secret, most: usize) {
    if secret.expose().is_empty() || held.back().is_some_and(|newest| newest.expose() == secret.expose()) {
        return;
    }
    held.retain(|known| known.expose() != secret.expose());
    held.push_back(secret);
    while held.len() > most {
        held.pop_front();
    }
}

#[derive(Clone)]
pub(crate) enum Secret {
    Password(Password),
    Token(Token),
    File(FileSecret),
    Text(Arc<SecretString>),
}

impl Secret {
    fn expose(&self) -> &str {
        match self {
            Secret::Password(password) => password.expose(),
            Secret::Token(token) => token.expose(),
            Secret::File(secret) => secret.expose(),
            Secret::Text(text) => text.expose_secret(),
        }
    }
}

impl_from! { Secret {
    |password: &Password| Secret::Password(password.clone());
    |token: &Token| Secret::Token(token.clone());
    |secret: &FileSecret| Secret::File(secret.clone());
    |text: SecretString| Secret::Text(Arc::new(text));
} }

/// The secrets that a call under way carries. They are remembered after it, as long as there is room.
pub(crate) struct Leased {
    redactor: Redactor,
    ids: Vec<u64>,
}

impl Leased {
    pub(super) fn of(redactor: Redactor) -> Self {
        Leased { redactor, ids: Vec::new() }
    }

    pub(crate) fn add(&mut self, secret: impl Into<Secret>) {
        let mut held = self.redactor.write();
        held.last_lease += 1;
        let id = held.last_lease;
        held.leased.push((id, secret.into()));
        self.ids.push(id);
    }

    pub(crate) fn redactor(&self) -> &Redactor {
        &self.redactor
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        let mut held = self.redactor.write();
        for id in std::mem::take(&mut self.ids) {
            let Some(at) = held.leased.iter().position(|(leased, _)| *leased == id) else { continue };
            let (_, secret) = held.leased.swap_remove(at);
            let (known, most) = match secret {
                Secret::Token(_) => (&mut held.tokens, Redactor::TOKENS),
                _ => (&mut held.others, Redactor::OTHERS),
            };
            remember(known, secret, most);
        }
        if held.leased.is_empty() {
            held.leased = Vec::new();
        }
    }
}

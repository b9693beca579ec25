//! Tokens and their owners.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use crate::{local_server::limits, util::unix_time::now_ms};

/// The owner of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    App,
    User(String),
}

/// A token's owner and end.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) owner: Owner,
    /// `None`: it never expires.
    pub(crate) expires_ms: Option<u64>,
}

impl Token {
    /// Returns `true` once its end is reached.
    pub(crate) fn is_expired(&self) -> bool {
        self.expires_ms.is_some_and(|at| at <= now_ms())
    }
}

/// Every token: [`limits::TOKENS`], the oldest are forgotten.
#[derive(Default)]
pub(crate) struct Tokens {
    by_text: HashMap<String, Token>,
    order: VecDeque<String>,
}

impl Tokens {
    /// Issues a random token; `life` of `None` never ends.
    pub(crate) fn issue(&mut self, owner: Owner, life: Option<Duration>) -> (String, Token) {
        let [a, b, c] = [fastrand::u64(..), fastrand::u64(..), fastrand::u64(..)];
        let text = format!("YWMt{a:016x}{b:016x}{c:016x}");
        let token = self.adopt(text.clone(), owner, life);
        (text, token)
    }

    /// Makes a text a token; `life` of `None` never ends.
    pub(crate) fn adopt(&mut self, text: String, owner: Owner, life: Option<Duration>) -> Token {
        let expires_ms = life.map(|life| now_ms().saturating_add(u64::try_from(life.as_millis()).unwrap_or(u64::MAX)));
        let token = Token { owner, expires_ms };
        if self.by_text.insert(text.clone(), token.clone()).is_some() {
            return token;
        }
        while self.order.len() >= limits::TOKENS {
            if let Some(oldest) = self.order.pop_front() {
                self.by_text.remove(&oldest);
            }
        }
        self.order.push_back(text);
        token
    }

    /// Returns a known token, expired or not.
    pub(crate) fn get(&self, text: &str) -> Option<&Token> {
        self.by_text.get(text)
    }

    /// Returns a known token that has not expired.
    pub(crate) fn valid(&self, text: &str) -> Option<&Token> {
        self.get(text).filter(|token| !token.is_expired())
    }

    /// Forgets a token; `false` if it is unknown.
    pub(crate) fn revoke(&mut self, text: &str) -> bool {
        self.order.retain(|known| known != text);
        self.by_text.remove(text).is_some()
    }

    /// Ends every token of a user now; returns how many had not ended yet.
    pub(crate) fn expire_all(&mut self, user: &str) -> usize {
        let now = now_ms();
        let mut ended = 0;
        for token in self.by_text.values_mut() {
            if matches!(&token.owner, Owner::User(name) if name == user) && !token.is_expired() {
                token.expires_ms = Some(now);
                ended += 1;
            }
        }
        ended
    }

    /// Forgets every token of a user.
    pub(crate) fn revoke_all(&mut self, user: &str) {
        self.by_text.retain(|_, token| !matches!(&token.owner, Owner::User(name) if name == user));
        self.order.retain(|text| self.by_text.contains_key(text));
    }
}

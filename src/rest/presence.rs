//! Presence of users (messages spec §5.2).

use std::{collections::BTreeMap, time::Duration};

use awc::http::Method;
use serde_json::{Value, json};

use super::{
    answer::{odd, text, whole},
    client::{RestClient, percent_encoded},
    device::Resource,
};
use crate::{
    model::{
        account::{Token, UserId},
        error::{Operation, RestError, RestErrorKind},
    },
    rest::session_call::{Caller, bounded, done, json as body, sized},
};

/// A user's presence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresenceState {
    /// The user.
    pub user: String,
    /// The text the user published; empty where there is none.
    pub ext: String,
    /// The user's devices and the state of each: 0 is offline, others are online in the application's own meaning.
    pub devices: BTreeMap<String, i64>,
    /// When the user was last online, in seconds since 1970; 0 where the service does not say.
    pub last_seen: u64,
    /// When the subscription ends, in seconds since 1970; 0 where there is none.
    pub expires: u64,
}

impl PresenceState {
    /// Returns whether a device of the user is online.
    #[must_use]
    pub fn is_online(&self) -> bool {
        self.devices.values().any(|state| *state != 0)
    }

    /// `None` for an entry that names no user.
    fn parse(state: &Value) -> Option<Self> {
        let devices = state.get("status").and_then(Value::as_object);
        Some(PresenceState {
            user: text(state, "uid")?.to_owned(),
            ext: text(state, "ext").unwrap_or_default().to_owned(),
            devices: devices
                .into_iter()
                .flatten()
                .filter_map(|(device, state)| Some((device.clone(), number(state)?)))
                .collect(),
            last_seen: whole(state, "last_time").unwrap_or(0),
            expires: whole(state, "expiry").unwrap_or(0),
        })
    }

    pub(super) fn parse_all(answer: &Value) -> Result<Vec<Self>, RestErrorKind> {
        let states =
            answer.get("result").and_then(Value::as_array).ok_or_else(|| odd("it has no list of presences"))?;
        Ok(states.iter().filter_map(Self::parse).collect())
    }
}

fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// One subscription to a user's presence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresenceSubscription {
    /// The user.
    pub user: String,
    /// When it ends, in seconds since 1970; 0 where the service does not say.
    pub expires: u64,
}

/// A page of the own subscriptions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresenceSubscriptions {
    /// The number of all subscriptions.
    pub total: u64,
    /// Those of this page.
    pub subscriptions: Vec<PresenceSubscription>,
}

impl PresenceSubscriptions {
    pub(super) fn parse(answer: &Value) -> Result<Self, RestErrorKind> {
        let result = answer.get("result").filter(|result| result.is_object()).ok_or_else(|| odd("it has no result"))?;
        let listed = result.get("sublist").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let subscription = |entry: &Value| {
            let user = text(entry, "uid")?.to_owned();
            Some(PresenceSubscription { user, expires: whole(entry, "expiry").unwrap_or(0) })
        };
        Ok(PresenceSubscriptions {
            total: whole(result, "totalnum").unwrap_or(0),
            subscriptions: listed.iter().filter_map(subscription).collect(),
        })
    }
}

/// Presence, by a user's own token. Where the application has not enabled it, every call fails with
/// [`RestErrorKind::ServiceDisabled`] (505).
impl RestClient {
    /// The most users one presence call may name.
    pub const MAX_PRESENCE_USERS: usize = 100;
    /// The longest subscription to a presence: 30 days.
    pub const MAX_PRESENCE_TIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
    /// The most entries of one page of subscriptions.
    pub const MAX_PRESENCE_PAGE: u32 = 500;

    /// Publishes a text as the presence of one device of the user; it is online by that.
    ///
    /// # Errors
    /// Any [`RestError`]; among them [`RestErrorKind::PresenceTooLong`] (1100).
    pub async fn publish_presence(
        &self,
        token: &Token,
        user: &UserId,
        resource: &Resource,
        ext: &str,
    ) -> Result<(), RestError> {
        // The last step of the path is the state; the vendor's client knows this one only.
        let resource = percent_encoded(resource.as_str());
        let path = format!("{}/{resource}/1", presence_path(user));
        let mut call = self.session_call(Operation::PublishPresence, Method::POST, Caller { token, user }, &path);
        call.body = body(&json!({ "ext": ext }));
        self.call(call, done).await
    }

    /// Subscribes to the presence of up to [`RestClient::MAX_PRESENCE_USERS`] users for this long, from a second to
    /// [`RestClient::MAX_PRESENCE_TIME`]; answers how they are now.
    ///
    /// The service keeps up to 3000 subscriptions of one user.
    ///
    /// # Errors
    /// [`RestErrorKind::ListSize`] or [`RestErrorKind::Parameter`] before sending; otherwise any [`RestError`].
    pub async fn subscribe_presence(
        &self,
        token: &Token,
        user: &UserId,
        users: &[UserId],
        lasting: Duration,
    ) -> Result<Vec<PresenceState>, RestError> {
        let operation = Operation::SubscribePresence;
        sized(operation, user, users.len(), Self::MAX_PRESENCE_USERS)?;
        let fits = (1..=Self::MAX_PRESENCE_TIME.as_secs()).contains(&lasting.as_secs());
        bounded(operation, user, fits, "a subscription to a presence lasts 1 second to 30 days")?;
        let path = format!("{}/{}", presence_path(user), lasting.as_secs());
        let mut call = self.session_call(operation, Method::POST, Caller { token, user }, &path);
        call.body = body(&json!({ "usernames": names(users) }));
        self.call(call, PresenceState::parse_all).await
    }

    /// Ends subscriptions to the presence of up to [`RestClient::MAX_PRESENCE_USERS`] users.
    ///
    /// # Errors
    /// [`RestErrorKind::ListSize`] before anything is sent; otherwise any [`RestError`].
    pub async fn unsubscribe_presence(&self, token: &Token, user: &UserId, users: &[UserId]) -> Result<(), RestError> {
        let operation = Operation::UnsubscribePresence;
        sized(operation, user, users.len(), Self::MAX_PRESENCE_USERS)?;
        let mut call = self.session_call(operation, Method::DELETE, Caller { token, user }, &presence_path(user));
        call.body = body(&names(users));
        self.call(call, done).await
    }

    /// Returns the user's own subscriptions: a page, from 1, of `size` entries, from 1 to
    /// [`RestClient::MAX_PRESENCE_PAGE`].
    ///
    /// # Errors
    /// [`RestErrorKind::Parameter`] before anything is sent; otherwise any [`RestError`].
    pub async fn presence_subscriptions(
        &self,
        token: &Token,
        user: &UserId,
        page: u32,
        size: u32,
    ) -> Result<PresenceSubscriptions, RestError> {
        let operation = Operation::PresenceSubscriptions;
        bounded(operation, user, page > 0, "pages of subscriptions count from 1")?;
        let fits = (1..=Self::MAX_PRESENCE_PAGE).contains(&size);
        bounded(operation, user, fits, "a page of subscriptions has 1 to 500 entries")?;
        let path = format!("{}/sublist?pageNum={page}&pageSize={size}", presence_path(user));
        let call = self.session_call(operation, Method::GET, Caller { token, user }, &path);
        self.call(call, PresenceSubscriptions::parse).await
    }

    /// Returns the presence of up to [`RestClient::MAX_PRESENCE_USERS`] users, without subscribing.
    ///
    /// # Errors
    /// [`RestErrorKind::ListSize`] before anything is sent; otherwise any [`RestError`].
    pub async fn presence_of(
        &self,
        token: &Token,
        user: &UserId,
        users: &[UserId],
    ) -> Result<Vec<PresenceState>, RestError> {
        sized(Operation::Presence, user, users.len(), Self::MAX_PRESENCE_USERS)?;
        let mut call =
            self.session_call(Operation::Presence, Method::POST, Caller { token, user }, &presence_path(user));
        call.body = body(&json!({ "usernames": names(users) }));
        self.call(call, PresenceState::parse_all).await
    }
}

fn presence_path(user: &UserId) -> String {
    format!("users/{}/presence", percent_encoded(user.as_str()))
}

fn names(users: &[UserId]) -> Vec<&str> {
    users.iter().map(UserId::as_str).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{PresenceState, PresenceSubscriptions};

    #[test]
    fn a_presence_is_read_with_numbers_as_text() {
        let answer = json!({"result": [
            {"uid": "bob", "last_time": "1690000000", "expiry": "1690086400", "ext": "busy",
             "status": {"ios_1": "1", "web_2": 0, "odd": []}},
            {"ext": "names nobody"},
            7,
            {"uid": "carol", "last_time": "", "expiry": 7, "status": "0"},
        ]});
        let states = PresenceState::parse_all(&answer).unwrap();
        assert_eq!(
            (states[0].ext.as_str(), states[0].last_seen, states[0].expires),
            ("busy", 1_690_000_000, 1_690_086_400)
        );
        assert_eq!(
            states[0].devices.iter().map(|(d, s)| (d.as_str(), *s)).collect::<Vec<_>>(),
            [("ios_1", 1), ("web_2", 0)]
        );
        assert!(states[0].is_online());
        assert_eq!((states[1].user.as_str(), states[1].is_online(), states[1].expires), ("carol", false, 7));
        for bad in [json!({}), json!({"result": "ok"})] {
            assert!(PresenceState::parse_all(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn subscriptions_are_read_and_may_be_none() {
        let page = json!({"result": {"totalnum": "2", "sublist": [{"uid": "bob", "expiry": "9"}]}});
        let page = PresenceSubscriptions::parse(&page).unwrap();
        assert_eq!((page.total, page.subscriptions[0].user.as_str(), page.subscriptions[0].expires), (2, "bob", 9));
        let none = PresenceSubscriptions::parse(&json!({"result": {"totalnum": 0}})).unwrap();
        assert_eq!(none, PresenceSubscriptions::default());
        assert!(PresenceSubscriptions::parse(&json!({"result": "ok"})).is_err());
    }
}

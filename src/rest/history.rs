//! Message history (messages spec §5.3).

use awc::http::Method;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Serialize;
use serde_json::Value;

use super::{
    answer::{odd, text},
    client::{RestClient, percent_encoded},
    device::Resource,
};
use crate::{
    model::{
        account::{Token, UserId},
        error::{Operation, RestError, RestErrorKind},
        message::{ChatType, Conversation, Message},
    },
    rest::session_call::{Caller, bounded, done, json as body, sized},
    util::impls::{impl_display, names, setters},
    wire::{GROUP_DOMAIN, Meta, USER_DOMAIN},
};

/// Start of a page of the history: at the end of the page before, or at a message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HistoryCursor(String);

impl HistoryCursor {
    /// Starts at a message, by its server id.
    #[must_use]
    pub fn at(message: u64) -> Self {
        HistoryCursor(message.to_string())
    }

    /// Makes a cursor of its text, as [`Display`](std::fmt::Display) gives it.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        HistoryCursor(text.into())
    }
}

impl_display!(|this: HistoryCursor| "{}", this.0);

names! {
    /// Kinds of messages that a page can be narrowed to.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum HistoryType {
        /// Texts.
        Text = "txt",
        /// Images.
        Image = "img",
        /// Videos.
        Video = "video",
        /// Places.
        Location = "loc",
        /// Voices.
        Voice = "audio",
        /// Files.
        File = "file",
        /// Commands.
        Command = "cmd",
        /// Custom messages.
        Custom = "custom",
        /// Combined messages.
        Combined = "combine",
    }
}

/// A page of a conversation's history.
///
/// ```
/// use agora_chat::rest::{HistoryQuery, HistoryType};
/// let last_pictures = HistoryQuery::new().limit(20).types([HistoryType::Image]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a query does nothing until it is given to `history`"]
pub struct HistoryQuery {
    start: Option<HistoryCursor>,
    limit: Option<u32>,
    forward: bool,
    types: Vec<HistoryType>,
    from: Option<u64>,
    to: Option<u64>,
    sender: Option<UserId>,
}

impl HistoryQuery {
    /// Queries the newest messages, [`RestClient::MAX_HISTORY_PAGE`] of them.
    pub fn new() -> Self {
        HistoryQuery::default()
    }

    setters! {
        /// Begins here, such as at [`HistoryPage::next`]. Default: at the newest message, or forward at the oldest.
        start(cursor: HistoryCursor) |this| this.start = Some(cursor);

        /// Sets the page's size, from 1 to [`RestClient::MAX_HISTORY_PAGE`], which is the default.
        limit(messages: u32) |this| this.limit = Some(messages);
    }

    /// Goes forward in time. Default: back.
    pub fn forward(mut self) -> Self {
        self.forward = true;
        self
    }

    /// Messages of these kinds only. Default: all.
    pub fn types(mut self, types: impl IntoIterator<Item = HistoryType>) -> Self {
        self.types.clear();
        for kind in types {
            if !self.types.contains(&kind) {
                self.types.push(kind);
            }
        }
        self
    }

    setters! {
        /// Sets the earliest moment, in milliseconds since 1970.
        from(time: u64) |this| this.from = Some(time);

        /// Sets the latest moment, in milliseconds since 1970.
        to(time: u64) |this| this.to = Some(time);

        /// Sets the only sender, in a group or chat room.
        sender(user: UserId) |this| this.sender = Some(user);
    }

    fn request(&self, conversation: &Conversation) -> HistoryBody<'_> {
        let domain = match conversation.chat() {
            ChatType::Single => USER_DOMAIN,
            _ => GROUP_DOMAIN,
        };
        let types: Vec<_> = self.types.iter().map(HistoryType::to_string).collect();
        HistoryBody {
            queue: format!("{}@{domain}", name(conversation)),
            start: self.start.as_ref().map_or(Start::Newest(-1), |cursor| Start::At(&cursor.0)),
            pull_number: self.limit.unwrap_or(RestClient::MAX_HISTORY_PAGE),
            is_positive: self.forward,
            end: -1,
            msg_type: types.join(","),
            start_time: self.from,
            end_time: self.to,
            user_id: self.sender.as_ref().map(UserId::as_str),
        }
    }
}

/// Returns the conversation's name; a user's without the device.
fn name(conversation: &Conversation) -> &str {
    match conversation {
        Conversation::User(id) => id.split('/').next().unwrap_or_default(),
        _ => conversation.id(),
    }
}

#[derive(Serialize)]
struct HistoryBody<'a> {
    queue: String,
    start: Start<'a>,
    pull_number: u32,
    is_positive: bool,
    end: i32,
    #[serde(rename = "msgType")]
    msg_type: String,
    #[serde(rename = "startTime")]
    start_time: Option<u64>,
    #[serde(rename = "endTime")]
    end_time: Option<u64>,
    #[serde(rename = "userId")]
    user_id: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Start<'a> {
    Newest(i32),
    /// As text: an id may exceed 2^53.
    At(&'a str),
}

/// A page of a conversation's history.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct HistoryPage {
    /// The messages in the service's order, which is the query's direction.
    pub messages: Vec<Message>,
    /// The next page's cursor; `None` after the last one.
    pub next: Option<HistoryCursor>,
    /// Entries left out: those that do not decode, and those that are no chat messages.
    pub skipped: usize,
}

impl HistoryPage {
    pub(super) fn parse(answer: &Value, me: &UserId) -> Result<Self, RestErrorKind> {
        let data = answer.get("data").filter(|data| data.is_object()).ok_or_else(|| odd("it has no data"))?;
        let entries = data.get("msgs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut page = HistoryPage::default();
        for entry in entries {
            match text(entry, "msg").and_then(|encoded| message(encoded, me)) {
                Some(message) => page.messages.push(message),
                None => page.skipped += 1,
            }
        }
        let is_last = matches!(data.get("is_last"), Some(Value::Bool(true))) || text(data, "is_last") == Some("true");
        let next = match data.get("next_key") {
            Some(Value::String(key)) => Some(key.clone()),
            Some(Value::Number(key)) => Some(key.to_string()),
            _ => None,
        };
        let goes_on = !is_last && !entries.is_empty();
        page.next = next.filter(|key| goes_on && !key.is_empty() && key != "-1").map(HistoryCursor);
        Ok(page)
    }
}

/// Decodes a message of the history: base64 of an encoded meta.
fn message(encoded: &str, me: &UserId) -> Option<Message> {
    let meta = Meta::from_bytes(BASE64_STANDARD.decode(encoded).ok()?.into()).ok()?;
    Message::from_meta(&meta, Some(me))
}

/// The history, by a user's own token. Where the application has not enabled it, every call fails with
/// [`RestErrorKind::ServiceDisabled`] (505).
impl RestClient {
    /// The most messages of one page of the history.
    pub const MAX_HISTORY_PAGE: u32 = 50;
    /// The most messages deleted from the history by one call.
    pub const MAX_HISTORY_DELETE: usize = 20;

    /// Returns a page of a conversation's history, as long as the service keeps it (3 to 180 days by plan).
    ///
    /// An entry that does not decode costs only itself: [`HistoryPage::skipped`].
    ///
    /// # Errors
    /// [`RestErrorKind::Parameter`] for a limit out of bounds, before anything is sent; otherwise any [`RestError`].
    pub async fn history(
        &self,
        token: &Token,
        user: &UserId,
        conversation: &Conversation,
        query: &HistoryQuery,
    ) -> Result<HistoryPage, RestError> {
        let operation = Operation::History;
        let fits = query.limit.is_none_or(|limit| (1..=Self::MAX_HISTORY_PAGE).contains(&limit));
        bounded(operation, user, fits, "a page of the history has 1 to 50 messages")?;
        let path = format!("users/{}/messageroaming", percent_encoded(user.as_str()));
        let mut call = self.session_call(operation, Method::POST, Caller { token, user }, &path);
        call.body = body(&query.request(conversation));
        self.call(call, |answer| HistoryPage::parse(answer, user)).await
    }

    /// Deletes up to [`RestClient::MAX_HISTORY_DELETE`] messages from the user's own history by server id.
    ///
    /// # Errors
    /// [`RestErrorKind::ListSize`] before anything is sent; otherwise any [`RestError`].
    pub async fn delete_history(
        &self,
        token: &Token,
        user: &UserId,
        resource: &Resource,
        conversation: &Conversation,
        messages: &[u64],
    ) -> Result<(), RestError> {
        let operation = Operation::DeleteHistory;
        sized(operation, user, messages.len(), Self::MAX_HISTORY_DELETE)?;
        let (kind, key) = match conversation.chat() {
            ChatType::Single => ("chat", "userId"),
            _ => ("group", "groupId"),
        };
        let ids: Vec<_> = messages.iter().map(u64::to_string).collect();
        let path = format!(
            "sdk/message/roaming/{kind}/user/{}?{key}={}&msgIdList={}&resource={}",
            percent_encoded(user.as_str()),
            percent_encoded(name(conversation)),
            ids.join(","),
            percent_encoded(resource.as_str()),
        );
        let call = self.session_call(operation, Method::DELETE, Caller { token, user }, &path);
        self.call(call, done).await
    }
}

//! The conversations of a user (messages spec §5.4).

use awc::http::Method;
use serde_json::Value;

use super::{
    answer::{odd, text, whole},
    client::{RestClient, percent_encoded},
};
use crate::{
    model::{
        account::{Token, UserId},
        error::{Operation, RestError, RestErrorKind},
        message::{Conversation, Json, Message},
    },
    rest::{
        rest_message,
        session_call::{Caller, bounded},
    },
    util::impls::impl_debug,
};

/// A message as the service's JSON has it. `Debug` shows nothing of it: it can hold a file's share-secret.
#[derive(Clone, PartialEq)]
pub struct RawMessage(Json);

impl RawMessage {
    /// Returns the JSON, as a text that is parsed when asked.
    #[must_use]
    pub fn json(&self) -> &Json {
        &self.0
    }
}

impl_debug!(|_: RawMessage| "RawMessage(..)");

/// A conversation as the service lists it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ConversationInfo {
    /// Which.
    pub conversation: Conversation,
    /// Its unread messages.
    pub unread: u64,
    /// Set if the user has pinned it.
    pub pinned: bool,
    /// When it was pinned or unpinned, in milliseconds since 1970; 0 where the service does not say.
    pub pinned_at: u64,
    /// The user's marks on it, by the application's own numbers.
    pub marks: Vec<i64>,
    /// Its last message, where it is of a kind this release takes apart.
    pub last_message: Option<Message>,
    /// Its last message as the service gave it.
    pub raw: Option<RawMessage>,
}

/// A page of the conversations of a user.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ConversationPage {
    /// The conversations, in the service's order.
    pub conversations: Vec<ConversationInfo>,
    /// The next page's cursor; `None` after the last one.
    pub next: Option<String>,
    /// Entries left out, being of no kind this release knows.
    pub skipped: usize,
}

impl ConversationPage {
    pub(super) fn parse(answer: &Value, me: &UserId) -> Result<Self, RestErrorKind> {
        let data = answer.get("data").filter(|data| data.is_object()).ok_or_else(|| odd("it has no data"))?;
        let entries = data.get("channel_infos").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let conversations: Vec<_> = entries.iter().filter_map(|entry| ConversationInfo::parse(entry, me)).collect();
        Ok(ConversationPage {
            skipped: entries.len() - conversations.len(),
            conversations,
            next: text(data, "cursor").filter(|cursor| !cursor.is_empty()).map(str::to_owned),
        })
    }
}

impl ConversationInfo {
    fn parse(entry: &Value, me: &UserId) -> Option<Self> {
        let id = text(entry, "session_to").filter(|id| !id.is_empty())?;
        let conversation = match text(entry, "session_type")? {
            "chat" => Conversation::user(id),
            "group" => Conversation::group(id),
            "chatroom" | "room" => Conversation::room(id),
            _ => return None,
        };
        let meta = entry.get("meta").filter(|meta| meta.as_object().is_some_and(|members| !members.is_empty()));
        Some(ConversationInfo {
            unread: whole(entry, "unread_num").unwrap_or(0),
            pinned: matches!(entry.get("is_top"), Some(Value::Bool(true))) || text(entry, "is_top") == Some("true"),
            pinned_at: whole(entry, "update_top_status_time").unwrap_or(0),
            marks: entry
                .get("marks")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_i64)
                .collect(),
            last_message: meta.and_then(|meta| rest_message::message(meta, conversation.chat(), me)),
            raw: meta.map(|meta| RawMessage(meta.into())),
            conversation,
        })
    }
}

impl RestClient {
    /// The most conversations of one page.
    pub const MAX_CONVERSATION_PAGE: u32 = 50;

    /// Returns a page of a user's conversations with their last messages, by the user's own token: `limit` of them,
    /// from 1 to [`RestClient::MAX_CONVERSATION_PAGE`], from the beginning or from [`ConversationPage::next`] on.
    ///
    /// # Errors
    /// [`RestErrorKind::Parameter`] before anything is sent; otherwise any [`RestError`].
    pub async fn conversations(
        &self,
        token: &Token,
        user: &UserId,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<ConversationPage, RestError> {
        let operation = Operation::Conversations;
        let fits = (1..=Self::MAX_CONVERSATION_PAGE).contains(&limit);
        bounded(operation, user, fits, "a page has 1 to 50 conversations")?;
        let path = format!(
            "sdk/user/{}/user_channels/list?limit={limit}&cursor={}&need_mark=true",
            percent_encoded(user.as_str()),
            percent_encoded(cursor.unwrap_or_default()),
        );
        let call = self.session_call(operation, Method::GET, Caller { token, user }, &path);
        self.call(call, |answer| ConversationPage::parse(answer, user)).await
    }
}

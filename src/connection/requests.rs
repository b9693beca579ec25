//! What a logged-in user asks of the service by REST, through the handle (messages spec §5).

use std::{collections::BTreeMap, time::Duration};

use super::{
    Connection,
    calls::{
        DeleteHistory, DownloadFile, GetAttributes, GetConversations, GetHistory, GetPresence,
        GetPresenceSubscriptions, PublishPresence, SetAttributes, SubscribePresence, UnsubscribePresence, UploadFile,
    },
};
use crate::{
    model::{
        account::UserId,
        error::{CredentialError, RequestError},
        message::{Attachment, Conversation},
    },
    rest::{
        Attribute, ConversationPage, Download, Fetch, HistoryPage, HistoryQuery, PresenceState, PresenceSubscriptions,
        Upload, UserAttributes,
    },
};

/// REST calls with the session's token. They need a session, not a link: they work while the link is being regained.
///
/// All fail with [`RequestError::NotLoggedIn`] where nobody is logged in. They run on the connection's arbiter. Dropping the
/// future of an upload, or of a download's beginning, ends it; of any other call under way it only loses the answer.
impl Connection {
    /// Uploads a file, for a message that points at it; see [`RestClient::upload`](crate::RestClient::upload).
    ///
    /// ```no_run
    /// # async fn share(connection: agora_chat::Connection) -> Result<(), agora_chat::RequestError> {
    /// use agora_chat::rest::Upload;
    /// let picture = connection.upload(Upload::file("cat.png").to("bob")).await?;
    /// println!("{} bytes at {}", picture.length, picture.url);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`RestClient::upload`](crate::RestClient::upload), in [`RequestError::Rest`].
    pub async fn upload(&self, upload: Upload) -> Result<Attachment, RequestError> {
        self.ask_while_wanted(UploadFile { upload }).await?
    }

    /// Begins to download a message's file; see [`RestClient::download`](crate::RestClient::download). The download may
    /// be read on any thread.
    ///
    /// # Errors
    /// As [`RestClient::download`](crate::RestClient::download), in [`RequestError::Rest`].
    pub async fn download(&self, file: impl Into<Fetch>) -> Result<Download, RequestError> {
        self.ask_while_wanted(DownloadFile { file: file.into() }).await?
    }

    /// A page of a conversation's history; see [`RestClient::history`](crate::RestClient::history).
    ///
    /// ```no_run
    /// # async fn all(connection: agora_chat::Connection) -> Result<(), agora_chat::RequestError> {
    /// use agora_chat::rest::HistoryQuery;
    /// let mut query = HistoryQuery::new();
    /// loop {
    ///     let page = connection.history("bob", query.clone()).await?;
    ///     for message in &page.messages {
    ///         println!("{}: {:?}", message.from, message.body);
    ///     }
    ///     let Some(next) = page.next else { break };
    ///     query = query.start(next);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`RestClient::history`](crate::RestClient::history), in [`RequestError::Rest`].
    pub async fn history(
        &self,
        conversation: impl Into<Conversation>,
        query: HistoryQuery,
    ) -> Result<HistoryPage, RequestError> {
        self.ask(GetHistory { conversation: conversation.into(), query }).await?
    }

    /// Deletes messages from the own history by their server ids; see
    /// [`RestClient::delete_history`](crate::RestClient::delete_history).
    ///
    /// # Errors
    /// As [`RestClient::delete_history`](crate::RestClient::delete_history), in [`RequestError::Rest`].
    pub async fn delete_history(
        &self,
        conversation: impl Into<Conversation>,
        messages: impl Into<Vec<u64>>,
    ) -> Result<(), RequestError> {
        self.ask(DeleteHistory { conversation: conversation.into(), messages: messages.into() }).await?
    }

    /// Publishes a text as this device's presence; see
    /// [`RestClient::publish_presence`](crate::RestClient::publish_presence).
    ///
    /// # Errors
    /// As [`RestClient::publish_presence`](crate::RestClient::publish_presence), in [`RequestError::Rest`].
    pub async fn publish_presence(&self, ext: impl Into<String>) -> Result<(), RequestError> {
        self.ask(PublishPresence { ext: ext.into() }).await?
    }

    /// Subscribes to the presence of users for this long and answers how they are now; see
    /// [`RestClient::subscribe_presence`](crate::RestClient::subscribe_presence).
    ///
    /// # Errors
    /// [`RequestError::Credentials`] for what is no user id; otherwise as
    /// [`RestClient::subscribe_presence`](crate::RestClient::subscribe_presence), in [`RequestError::Rest`].
    pub async fn subscribe_presence(
        &self,
        users: impl IntoIterator<Item = impl AsRef<str>>,
        lasting: Duration,
    ) -> Result<Vec<PresenceState>, RequestError> {
        self.ask(SubscribePresence { users: ids(users)?, lasting }).await?
    }

    /// Ends subscriptions to the presence of users; see
    /// [`RestClient::unsubscribe_presence`](crate::RestClient::unsubscribe_presence).
    ///
    /// # Errors
    /// As [`subscribe_presence`](Connection::subscribe_presence).
    pub async fn unsubscribe_presence(
        &self,
        users: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<(), RequestError> {
        self.ask(UnsubscribePresence { users: ids(users)? }).await?
    }

    /// How users are now; see [`RestClient::presence_of`](crate::RestClient::presence_of).
    ///
    /// # Errors
    /// As [`subscribe_presence`](Connection::subscribe_presence).
    pub async fn presence_of(
        &self,
        users: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Vec<PresenceState>, RequestError> {
        self.ask(GetPresence { users: ids(users)? }).await?
    }

    /// A page, from 1, of the own subscriptions to presence; see
    /// [`RestClient::presence_subscriptions`](crate::RestClient::presence_subscriptions).
    ///
    /// # Errors
    /// As [`RestClient::presence_subscriptions`](crate::RestClient::presence_subscriptions), in [`RequestError::Rest`].
    pub async fn presence_subscriptions(&self, page: u32, size: u32) -> Result<PresenceSubscriptions, RequestError> {
        self.ask(GetPresenceSubscriptions { page, size }).await?
    }

    /// Sets own attributes; see [`RestClient::set_attributes`](crate::RestClient::set_attributes).
    ///
    /// # Errors
    /// As [`RestClient::set_attributes`](crate::RestClient::set_attributes), in [`RequestError::Rest`].
    pub async fn set_attributes(&self, attributes: UserAttributes) -> Result<(), RequestError> {
        self.ask(SetAttributes { attributes }).await?
    }

    /// The attributes of users, by user id: those named, or all where none is; see
    /// [`RestClient::attributes_of`](crate::RestClient::attributes_of).
    ///
    /// # Errors
    /// [`RequestError::Credentials`] for what is no user id; otherwise as
    /// [`RestClient::attributes_of`](crate::RestClient::attributes_of), in [`RequestError::Rest`].
    pub async fn attributes_of(
        &self,
        users: impl IntoIterator<Item = impl AsRef<str>>,
        attributes: impl Into<Vec<Attribute>>,
    ) -> Result<BTreeMap<String, UserAttributes>, RequestError> {
        self.ask(GetAttributes { users: ids(users)?, attributes: attributes.into() }).await?
    }

    /// A page of the own conversations, from the beginning or from
    /// [`ConversationPage::next`](crate::rest::ConversationPage::next) on; see
    /// [`RestClient::conversations`](crate::RestClient::conversations).
    ///
    /// # Errors
    /// As [`RestClient::conversations`](crate::RestClient::conversations), in [`RequestError::Rest`].
    pub async fn conversations(&self, limit: u32, cursor: Option<&str>) -> Result<ConversationPage, RequestError> {
        self.ask(GetConversations { limit, cursor: cursor.map(str::to_owned) }).await?
    }
}

fn ids(users: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Vec<UserId>, CredentialError> {
    users.into_iter().map(|user| user.as_ref().parse()).collect()
}

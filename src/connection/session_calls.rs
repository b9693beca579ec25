//! The REST calls of a logged-in user (messages spec §5): one row of the table [`calls!`] for each.

use std::{
    collections::BTreeMap,
    future::{Future as _, poll_fn},
    pin::Pin,
    task::Poll,
    time::Duration,
};

use actix::{Handler, Message, ResponseFuture};
use tokio::sync::oneshot;

use super::{Connection, ConnectionActor};
use crate::{
    model::{
        account::{Token, UserId},
        error::{ConnectionError, CredentialError, Operation, RequestError},
        message::{Attachment, Conversation},
    },
    rest::{
        self, Attribute, ConversationPage, Download, Fetch, HistoryPage, HistoryQuery, PresenceState,
        PresenceSubscriptions, Resource, Upload, UserAttributes,
    },
};

struct LoggedIn {
    token: Token,
    user: UserId,
    resource: String,
}

impl LoggedIn {
    fn resource(&self, operation: Operation) -> Result<Resource, RequestError> {
        Ok(rest::resource_of(operation, &self.user, &self.resource)?)
    }
}

impl ConnectionActor {
    fn me(&self) -> Result<LoggedIn, RequestError> {
        match (self.core.engine.token(), self.core.engine.user()) {
            (Some(token), Some(user)) => Ok(LoggedIn {
                token: token.clone(),
                user: user.clone(),
                resource: self.core.engine.resource().to_owned(),
            }),
            _ => Err(RequestError::NotLoggedIn),
        }
    }
}

/// A message whose call is cancelled with its caller: for calls that take long.
pub(super) struct Cancellable<M> {
    pub(super) ask: M,
    pub(super) gone: oneshot::Receiver<()>,
}

impl<M: Message> Message for Cancellable<M> {
    type Result = M::Result;
}

macro_rules! while_wanted {
    ($($name:ident),*) => {$(
        impl Handler<Cancellable<$name>> for ConnectionActor {
            type Result = ResponseFuture<<$name as Message>::Result>;

            fn handle(&mut self, wanted: Cancellable<$name>, ctx: &mut Self::Context) -> Self::Result {
                let Cancellable { ask, mut gone } = wanted;
                let mut call = Handler::<$name>::handle(self, ask, ctx);
                Box::pin(poll_fn(move |task| match Pin::new(&mut gone).poll(task) {
                    // Nobody hears this.
                    Poll::Ready(_) => Poll::Ready(Err(RequestError::Connection(ConnectionError::Stopped))),
                    Poll::Pending => call.as_mut().poll(task),
                }))
            }
        }
    )*};
}

/// Makes of each row a message, whose call runs on the actor's arbiter beside the actor, and the method of
/// [`Connection`] that sends it. A row has, in this order:
///
/// 1. the message with its docs and fields, and the answer;
/// 2. the REST call, made of the client, of who is logged in, and of the message;
/// 3. the method with its docs and arguments, how it asks, and the fields of the message made of the arguments.
macro_rules! calls {
    ($(
        $(#[$doc:meta])*
        $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* } -> $answer:ty
            = |$rest:ident, $me:ident, $ask:ident| $call:expr;
        $(#[$method_doc:meta])*
        pub async fn $method:ident(&self, $($arg:ident: $arg_type:ty),*) = $how:ident { $($fields:tt)* };
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub struct $name {
                $($(#[$field_doc])* pub $field: $type,)*
            }

            impl Message for $name {
                type Result = Result<$answer, RequestError>;
            }

            impl Handler<$name> for ConnectionActor {
                type Result = ResponseFuture<Result<$answer, RequestError>>;

                fn handle(&mut self, $ask: $name, _: &mut Self::Context) -> Self::Result {
                    let (me, rest) = (self.me(), self.rest());
                    Box::pin(async move {
                        let ($me, $rest) = (me?, rest.await?);
                        Ok($call.await?)
                    })
                }
            }
        )*

        /// REST calls with the session's token. They need a session, not a link: they work while the link is down.
        ///
        /// All fail with [`RequestError::NotLoggedIn`] where nobody is logged in. They run on the connection's arbiter.
        /// Dropping the future of an upload, or of a download's beginning, ends it; of any other call it loses the
        /// answer.
        impl Connection {
            $(
                $(#[$method_doc])*
                pub async fn $method(&self, $($arg: $arg_type),*) -> Result<$answer, RequestError> {
                    self.$how($name { $($fields)* }).await?
                }
            )*
        }
    };
}

while_wanted!(UploadFile, DownloadFile);

calls! {
    /// Uploads a file.
    UploadFile {
        /// The file.
        upload: Upload,
    } -> Attachment = |rest, me, ask| rest.upload(&me.token, &me.user, ask.upload);
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
    pub async fn upload(&self, upload: Upload) = ask_while_wanted { upload };

    /// Begins to download a file.
    DownloadFile {
        /// The file, and its bounds.
        file: Fetch,
    } -> Download = |rest, me, ask| rest.download(&me.token, &me.user, ask.file);
    /// Begins to download a message's file, to be read on any thread; see
    /// [`RestClient::download`](crate::RestClient::download).
    ///
    /// # Errors
    /// As [`RestClient::download`](crate::RestClient::download), in [`RequestError::Rest`].
    pub async fn download(&self, file: impl Into<Fetch>) = ask_while_wanted { file: file.into() };

    /// Asks for a page of a conversation's history.
    GetHistory {
        /// The conversation.
        conversation: Conversation,
        /// The page.
        query: HistoryQuery,
    } -> HistoryPage = |rest, me, ask| rest.history(&me.token, &me.user, &ask.conversation, &ask.query);
    /// Returns a page of a conversation's history; see [`RestClient::history`](crate::RestClient::history).
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
    pub async fn history(&self, conversation: impl Into<Conversation>, query: HistoryQuery)
        = ask { conversation: conversation.into(), query };

    /// Deletes messages from the own history.
    DeleteHistory {
        /// The conversation.
        conversation: Conversation,
        /// The messages' server ids.
        messages: Vec<u64>,
    } -> () = |rest, me, ask| {
        let resource = me.resource(Operation::DeleteHistory)?;
        async move { rest.delete_history(&me.token, &me.user, &resource, &ask.conversation, &ask.messages).await }
    };
    /// Deletes messages from the own history by their server ids; see
    /// [`RestClient::delete_history`](crate::RestClient::delete_history).
    ///
    /// # Errors
    /// As [`RestClient::delete_history`](crate::RestClient::delete_history), in [`RequestError::Rest`].
    pub async fn delete_history(&self, conversation: impl Into<Conversation>, messages: impl Into<Vec<u64>>)
        = ask { conversation: conversation.into(), messages: messages.into() };

    /// Publishes the presence of the own device.
    PublishPresence {
        /// The text.
        ext: String,
    } -> () = |rest, me, ask| {
        let resource = me.resource(Operation::PublishPresence)?;
        async move { rest.publish_presence(&me.token, &me.user, &resource, &ask.ext).await }
    };
    /// Publishes a text as this device's presence; see
    /// [`RestClient::publish_presence`](crate::RestClient::publish_presence).
    ///
    /// # Errors
    /// As [`RestClient::publish_presence`](crate::RestClient::publish_presence), in [`RequestError::Rest`].
    pub async fn publish_presence(&self, ext: impl Into<String>) = ask { ext: ext.into() };

    /// Subscribes to the presence of users.
    SubscribePresence {
        /// The users.
        users: Vec<UserId>,
        /// For how long.
        lasting: Duration,
    } -> Vec<PresenceState> = |rest, me, ask| rest.subscribe_presence(&me.token, &me.user, &ask.users, ask.lasting);
    /// Subscribes to the presence of users for this long and answers how they are now; see
    /// [`RestClient::subscribe_presence`](crate::RestClient::subscribe_presence).
    ///
    /// # Errors
    /// [`RequestError::Credentials`] for what is no user id; otherwise as
    /// [`RestClient::subscribe_presence`](crate::RestClient::subscribe_presence), in [`RequestError::Rest`].
    pub async fn subscribe_presence(&self, users: impl IntoIterator<Item = impl AsRef<str>>, lasting: Duration)
        = ask { users: ids(users)?, lasting };

    /// Ends subscriptions to the presence of users.
    UnsubscribePresence {
        /// The users.
        users: Vec<UserId>,
    } -> () = |rest, me, ask| rest.unsubscribe_presence(&me.token, &me.user, &ask.users);
    /// Ends subscriptions to the presence of users; see
    /// [`RestClient::unsubscribe_presence`](crate::RestClient::unsubscribe_presence).
    ///
    /// # Errors
    /// As [`subscribe_presence`](Connection::subscribe_presence).
    pub async fn unsubscribe_presence(&self, users: impl IntoIterator<Item = impl AsRef<str>>)
        = ask { users: ids(users)? };

    /// Asks how users are now.
    GetPresence {
        /// The users.
        users: Vec<UserId>,
    } -> Vec<PresenceState> = |rest, me, ask| rest.presence_of(&me.token, &me.user, &ask.users);
    /// Returns how users are now; see [`RestClient::presence_of`](crate::RestClient::presence_of).
    ///
    /// # Errors
    /// As [`subscribe_presence`](Connection::subscribe_presence).
    pub async fn presence_of(&self, users: impl IntoIterator<Item = impl AsRef<str>>) = ask { users: ids(users)? };

    /// Asks for a page of the own subscriptions to presence.
    GetPresenceSubscriptions {
        /// The page's number, from 1.
        page: u32,
        /// Entries per page.
        size: u32,
    } -> PresenceSubscriptions = |rest, me, ask| {
        rest.presence_subscriptions(&me.token, &me.user, ask.page, ask.size)
    };
    /// Returns a page, from 1, of the own subscriptions to presence; see
    /// [`RestClient::presence_subscriptions`](crate::RestClient::presence_subscriptions).
    ///
    /// # Errors
    /// As [`RestClient::presence_subscriptions`](crate::RestClient::presence_subscriptions), in [`RequestError::Rest`].
    pub async fn presence_subscriptions(&self, page: u32, size: u32) = ask { page, size };

    /// Sets own attributes.
    SetAttributes {
        /// Those to set.
        attributes: UserAttributes,
    } -> () = |rest, me, ask| rest.set_attributes(&me.token, &me.user, &ask.attributes);
    /// Sets own attributes; see [`RestClient::set_attributes`](crate::RestClient::set_attributes).
    ///
    /// # Errors
    /// As [`RestClient::set_attributes`](crate::RestClient::set_attributes), in [`RequestError::Rest`].
    pub async fn set_attributes(&self, attributes: UserAttributes) = ask { attributes };

    /// Asks for attributes of users.
    GetAttributes {
        /// The users.
        users: Vec<UserId>,
        /// The attributes; all where none is named.
        attributes: Vec<Attribute>,
    } -> BTreeMap<String, UserAttributes> = |rest, me, ask| {
        rest.attributes_of(&me.token, &me.user, &ask.users, &ask.attributes)
    };
    /// Returns the attributes of users, by user id: those named, or all where none is; see
    /// [`RestClient::attributes_of`](crate::RestClient::attributes_of).
    ///
    /// # Errors
    /// [`RequestError::Credentials`] for what is no user id; otherwise as
    /// [`RestClient::attributes_of`](crate::RestClient::attributes_of), in [`RequestError::Rest`].
    pub async fn attributes_of(
        &self,
        users: impl IntoIterator<Item = impl AsRef<str>>,
        attributes: impl Into<Vec<Attribute>>
    ) = ask { users: ids(users)?, attributes: attributes.into() };

    /// Asks for a page of the own conversations.
    GetConversations {
        /// Conversations per page.
        limit: u32,
        /// The cursor where the page begins; `None` for the beginning.
        cursor: Option<String>,
    } -> ConversationPage = |rest, me, ask| {
        rest.conversations(&me.token, &me.user, ask.limit, ask.cursor.as_deref())
    };
    /// Returns a page of the own conversations, from the beginning or from
    /// [`ConversationPage::next`](crate::rest::ConversationPage::next) on; see
    /// [`RestClient::conversations`](crate::RestClient::conversations).
    ///
    /// # Errors
    /// As [`RestClient::conversations`](crate::RestClient::conversations), in [`RequestError::Rest`].
    pub async fn conversations(&self, limit: u32, cursor: Option<&str>)
        = ask { limit, cursor: cursor.map(str::to_owned) };
}

fn ids(users: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Vec<UserId>, CredentialError> {
    users.into_iter().map(|user| user.as_ref().parse()).collect()
}

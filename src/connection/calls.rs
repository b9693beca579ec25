//! The REST calls of the session: each by a message, with the session's token, user and device.

use std::{
    collections::BTreeMap,
    future::{Future as _, poll_fn},
    pin::Pin,
    task::Poll,
    time::Duration,
};

use actix::{Handler, Message, ResponseFuture};
use tokio::sync::oneshot;

use super::ConnectionActor;
use crate::{
    model::{
        account::{Token, UserId},
        error::{ConnectionError, Operation, RequestError},
        message::{Attachment, Conversation},
    },
    rest::{
        self, Attribute, ConversationPage, Download, Fetch, HistoryPage, HistoryQuery, PresenceState,
        PresenceSubscriptions, Resource, Upload, UserAttributes,
    },
};

/// Who is logged in.
struct LoggedIn {
    token: Token,
    user: UserId,
    resource: String,
}

impl LoggedIn {
    fn resource(&self, operation: Operation) -> Result<Resource, RequestError> {
        Ok(rest::own_resource(operation, &self.user, &self.resource)?)
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

/// A message whose call ends when whoever asked has gone: for calls that take long.
pub(super) struct Cancellable<M> {
    pub(super) ask: M,
    /// Closed by whoever asked.
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

while_wanted!(UploadFile, DownloadFile);

/// Messages whose call runs on the actor's arbiter, beside the actor.
macro_rules! calls {
    ($(
        $(#[$doc:meta])*
        $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* } -> $answer:ty = |$rest:ident, $me:ident, $ask:ident| $call:expr;
    )*) => {$(
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
    )*};
}

calls! {
    /// Uploads a file.
    UploadFile {
        /// The file.
        upload: Upload,
    } -> Attachment = |rest, me, ask| rest.upload(&me.token, &me.user, ask.upload);

    /// Begins to download a file.
    DownloadFile {
        /// Which, and within what bounds.
        file: Fetch,
    } -> Download = |rest, me, ask| rest.download(&me.token, &me.user, ask.file);

    /// Asks for a page of a conversation's history.
    GetHistory {
        /// The conversation.
        conversation: Conversation,
        /// Which page.
        query: HistoryQuery,
    } -> HistoryPage = |rest, me, ask| rest.history(&me.token, &me.user, &ask.conversation, &ask.query);

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

    /// Publishes the presence of the own device.
    PublishPresence {
        /// The text.
        ext: String,
    } -> () = |rest, me, ask| {
        let resource = me.resource(Operation::PublishPresence)?;
        async move { rest.publish_presence(&me.token, &me.user, &resource, &ask.ext).await }
    };

    /// Subscribes to the presence of users.
    SubscribePresence {
        /// The users.
        users: Vec<UserId>,
        /// For how long.
        lasting: Duration,
    } -> Vec<PresenceState> = |rest, me, ask| rest.subscribe_presence(&me.token, &me.user, &ask.users, ask.lasting);

    /// Ends subscriptions to the presence of users.
    UnsubscribePresence {
        /// The users.
        users: Vec<UserId>,
    } -> () = |rest, me, ask| rest.unsubscribe_presence(&me.token, &me.user, &ask.users);

    /// Asks how users are now.
    GetPresence {
        /// The users.
        users: Vec<UserId>,
    } -> Vec<PresenceState> = |rest, me, ask| rest.presence_of(&me.token, &me.user, &ask.users);

    /// Asks for a page of the own subscriptions to presence.
    GetPresenceSubscriptions {
        /// Which page, from 1.
        page: u32,
        /// How many entries a page has.
        size: u32,
    } -> PresenceSubscriptions = |rest, me, ask| {
        rest.presence_subscriptions(&me.token, &me.user, ask.page, ask.size)
    };

    /// Sets own attributes.
    SetAttributes {
        /// Those to set.
        attributes: UserAttributes,
    } -> () = |rest, me, ask| rest.set_attributes(&me.token, &me.user, &ask.attributes);

    /// Asks for attributes of users.
    GetAttributes {
        /// The users.
        users: Vec<UserId>,
        /// Which attributes; all where none is named.
        attributes: Vec<Attribute>,
    } -> BTreeMap<String, UserAttributes> = |rest, me, ask| {
        rest.attributes_of(&me.token, &me.user, &ask.users, &ask.attributes)
    };

    /// Asks for a page of the own conversations.
    GetConversations {
        /// How many a page has.
        limit: u32,
        /// Where the page begins; the beginning where there is none.
        cursor: Option<String>,
    } -> ConversationPage = |rest, me, ask| {
        rest.conversations(&me.token, &me.user, ask.limit, ask.cursor.as_deref())
    };
}

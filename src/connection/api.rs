//! The actor's messages, and how each is answered.

use std::{collections::hash_map::Entry, sync::Arc};

use actix::{Context, Handler, MessageResult, ResponseFuture};
use tokio::sync::oneshot;

use super::{
    actor::ConnectionActor,
    admitting::Admitting,
    closed::Closed,
    messages::{
        Abandon, Call, ChangeRoom, Close, CloseWithin, GetHealth, NetworkChanged, Open, RegisterUser, RenewToken,
        SendMessage, State, Stop,
    },
};
use crate::{
    config::Account,
    model::{
        ConnectionState,
        auth::Secret,
        error::{ConnectionError, OpenError, RequestError, SendError},
        outgoing::{Outgoing, RoomInfo, RoomRequest, Sent},
    },
    net::websocket::link::Link,
    rest::RegisteredUser,
    session::Input,
};

impl ConnectionActor {
    /// Sends through the engine; `asked` gets the outcome.
    fn send(
        &mut self,
        client_id: u64,
        input: Input<'_>,
        asked: oneshot::Sender<Result<Sent, SendError>>,
        ctx: &mut Context<Self>,
    ) {
        // An error of `asked` means, here and elsewhere, that nobody waits any more.
        match self.sends.entry(client_id) {
            Entry::Vacant(place) => drop(place.insert(asked)),
            // The one that has the id keeps its place.
            Entry::Occupied(_) => {
                let _ = asked.send(Err(SendError::in_use(client_id)));
                return;
            }
        }
        self.core.engine.set_unsent(self.queued.bytes() + self.link.as_ref().map_or(0, Link::waiting));
        self.step(input, ctx);
    }

    fn send_message(
        &mut self,
        message: Outgoing,
        asked: oneshot::Sender<Result<Sent, SendError>>,
        ctx: &mut Context<Self>,
    ) {
        let client_id = message.client_id().unwrap_or_else(|| self.core.engine.next_client_id());
        self.send(client_id, Input::Send { client_id, message }, asked, ctx);
    }

    fn change_room(
        &mut self,
        request: RoomRequest,
        asked: oneshot::Sender<Result<Sent, SendError>>,
        ctx: &mut Context<Self>,
    ) {
        let client_id = self.core.engine.next_client_id();
        self.send(client_id, Input::Room { client_id, request }, asked, ctx);
    }

    fn open(&mut self, account: Account, asked: oneshot::Sender<Result<(), OpenError>>, ctx: &mut Context<Self>) {
        if self.core.engine.state() == ConnectionState::LoggedOut {
            self.user = Some(account.user().clone());
            self.log.of_user(&self.logger, account.user());
            self.page_tasks.cursors = account.cursors.clone();
            self.page_tasks.totals.clone_from(&account.totals);
            self.admitting = account.admission.as_ref().map(|hook| Box::new(Admitting::new(Arc::clone(&hook.0))));
            self.totals.clone_from(&account.totals);
            self.gate.clone_from(&account.gate);
            self.core.publisher.observed_by(account.observer.clone());
            if let Secret::Token(token) = &account.credentials.secret {
                self.log.inspect(token, account.user());
            }
        }
        self.asking = Some(asked);
        self.step(Input::Open(account), ctx);
        if let Some(asked) = self.asking.take() {
            self.opening = Some(asked);
        }
    }

    fn close(&mut self, input: Input<'_>, asked: oneshot::Sender<Closed>, ctx: &mut Context<Self>) {
        if self.core.engine.state() == ConnectionState::LoggedOut {
            self.tell_closed(Closed::NotLoggedIn, vec![asked]);
        } else {
            self.closing.push(asked);
        }
        self.step(input, ctx);
    }
}

impl Handler<Open> for ConnectionActor {
    type Result = ResponseFuture<Result<(), OpenError>>;

    fn handle(&mut self, Open(account): Open, ctx: &mut Self::Context) -> Self::Result {
        let (asked, answer) = oneshot::channel();
        self.open(account, asked, ctx);
        Box::pin(async move { answer.await.unwrap_or(Err(ConnectionError::Stopped.into())) })
    }
}

impl Handler<Call<Open, Result<(), OpenError>>> for ConnectionActor {
    type Result = ();

    fn handle(&mut self, asked: Call<Open, Result<(), OpenError>>, ctx: &mut Self::Context) {
        self.open(asked.message.0, asked.answer, ctx);
    }
}

impl Handler<Close> for ConnectionActor {
    type Result = ResponseFuture<Closed>;

    fn handle(&mut self, _: Close, ctx: &mut Self::Context) -> Self::Result {
        let (asked, answer) = oneshot::channel();
        self.close(Input::Close, asked, ctx);
        Box::pin(async move { answer.await.unwrap_or(Closed::ActorGone) })
    }
}

impl Handler<Abandon> for ConnectionActor {
    type Result = ();

    fn handle(&mut self, Abandon(reason): Abandon, ctx: &mut Self::Context) {
        self.step(Input::Abandon(reason), ctx);
    }
}

impl Handler<Call<Close, Closed>> for ConnectionActor {
    type Result = ();

    fn handle(&mut self, asked: Call<Close, Closed>, ctx: &mut Self::Context) {
        self.close(Input::Close, asked.answer, ctx);
    }
}

impl Handler<Call<CloseWithin, Closed>> for ConnectionActor {
    type Result = ();

    fn handle(&mut self, asked: Call<CloseWithin, Closed>, ctx: &mut Self::Context) {
        let CloseWithin { limit, reason } = asked.message;
        self.close(Input::CloseWithin { limit, reason }, asked.answer, ctx);
    }
}

impl Handler<SendMessage> for ConnectionActor {
    type Result = ResponseFuture<Result<Sent, SendError>>;

    fn handle(&mut self, SendMessage(message): SendMessage, ctx: &mut Self::Context) -> Self::Result {
        let (asked, answer) = oneshot::channel();
        self.send_message(message, asked, ctx);
        Box::pin(async move { answer.await.unwrap_or(Err(ConnectionError::Stopped.into())) })
    }
}

impl Handler<Call<SendMessage, Result<Sent, SendError>>> for ConnectionActor {
    type Result = ();

    fn handle(&mut self, asked: Call<SendMessage, Result<Sent, SendError>>, ctx: &mut Self::Context) {
        self.send_message(asked.message.0, asked.answer, ctx);
    }
}

impl Handler<ChangeRoom> for ConnectionActor {
    type Result = ResponseFuture<Result<RoomInfo, SendError>>;

    fn handle(&mut self, ChangeRoom(request): ChangeRoom, ctx: &mut Self::Context) -> Self::Result {
        let (asked, answer) = oneshot::channel();
        self.change_room(request, asked, ctx);
        Box::pin(async move {
            let sent = answer.await.unwrap_or(Err(ConnectionError::Stopped.into()))?;
            Ok(sent.room.map(|room| *room).unwrap_or_default())
        })
    }
}

impl Handler<Call<ChangeRoom, Result<Sent, SendError>>> for ConnectionActor {
    type Result = ();

    fn handle(&mut self, asked: Call<ChangeRoom, Result<Sent, SendError>>, ctx: &mut Self::Context) {
        self.change_room(asked.message.0, asked.answer, ctx);
    }
}

impl Handler<RegisterUser> for ConnectionActor {
    type Result = ResponseFuture<Result<RegisteredUser, RequestError>>;

    fn handle(&mut self, new: RegisterUser, _: &mut Self::Context) -> Self::Result {
        let rest = self.rest();
        Box::pin(async move { Ok(rest.await?.register_user(&new.user, &new.password, new.nickname.as_ref()).await?) })
    }
}

impl Handler<RenewToken> for ConnectionActor {
    type Result = ResponseFuture<Result<u64, RequestError>>;

    fn handle(&mut self, RenewToken(token): RenewToken, ctx: &mut Self::Context) -> Self::Result {
        let (asked, answer) = oneshot::channel();
        self.cancel_renewals(ctx);
        if let Some(user) = self.core.engine.user() {
            self.log.inspect(&token, user);
        }
        self.last_renewal += 1;
        let renewal = self.last_renewal;
        self.renewals.push((renewal, asked));
        self.step(Input::RenewToken { renewal, token }, ctx);
        Box::pin(async move { answer.await.unwrap_or(Err(RequestError::NotLoggedIn)) })
    }
}

impl Handler<State> for ConnectionActor {
    type Result = MessageResult<State>;

    fn handle(&mut self, _: State, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.core.engine.state())
    }
}

impl Handler<NetworkChanged> for ConnectionActor {
    type Result = ();

    fn handle(&mut self, _: NetworkChanged, ctx: &mut Self::Context) {
        self.step(Input::NetworkChanged, ctx);
        self.wake();
    }
}

impl Handler<GetHealth> for ConnectionActor {
    type Result = MessageResult<GetHealth>;

    fn handle(&mut self, _: GetHealth, _: &mut Self::Context) -> Self::Result {
        let (engine, lost_records) = (&self.core.engine, self.config.lost_records.get());
        MessageResult(self.stats.health(self.user.as_ref(), engine, self.core.now(), lost_records))
    }
}

impl Handler<Stop> for ConnectionActor {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        self.stopping = true;
        self.step(Input::Close, ctx);
    }
}

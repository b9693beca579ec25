//! Tokens renewed over sockets: by the password, and by a provider as a closure or an actor.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix::{Actor, Context, Handler, MessageResult, ResponseFuture};
use agora_chat::{
    ConfigBuilder, ConnectionState, Credentials, DisconnectReason, EventKind, OpenError,
    account::{ProvideToken, TokenGrant, TokenReason, TokenRequest},
    errors::{ProviderError, TokenError},
    local_server::{Cut, LocalServer, RestCall},
};

use crate::connection::support::{Heard, LIMIT, alice, online, quick, server, start, within};

/// Its last fifth is long enough for an answer on a busy machine.
const LIFE: Duration = Duration::from_millis(1500);

/// The server's clock, which the countdown goes by, comes with the heartbeat.
fn beating(server: &LocalServer) -> ConfigBuilder {
    quick(server.config()).heartbeat(Duration::from_millis(50), LIMIT)
}

/// Waits until so many more tokens were about to end; nothing else may be heard meanwhile.
async fn lives(heard: &mut Heard, count: usize) {
    for _ in 0..count {
        let event = heard.next().await;
        assert!(matches!(event, EventKind::TokenWillExpire { .. }), "{event:?}");
    }
}

#[actix::test]
async fn a_password_bot_stays_online_on_one_link_over_its_tokens_lives() {
    let server = server().await;
    server.set_token_life(Some(LIFE));
    let (connection, mut heard) = online(beating(&server), alice()).await;
    lives(&mut heard, 3).await;
    assert_eq!(connection.state(), ConnectionState::Online);
    assert_eq!(server.provision_count(), 1);
    connection.close().await;
    assert!(matches!(heard.next().await, EventKind::Disconnected { reason: DisconnectReason::Closed }));
}

#[actix::test]
async fn a_closure_provides_tokens_one_after_the_other_and_their_ends_are_asked_for() {
    let server = Arc::new(server().await);
    let (under_way, asked) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let provider = {
        let (server, under_way, asked) = (Arc::clone(&server), Arc::clone(&under_way), Arc::clone(&asked));
        move |request: TokenRequest| {
            assert_eq!(under_way.fetch_add(1, Ordering::SeqCst), 0, "asked twice at once");
            let asks = asked.fetch_add(1, Ordering::SeqCst);
            let reason = if asks == 0 { TokenReason::Login } else { TokenReason::Expiring };
            assert_eq!((request.user.as_str(), request.reason), ("alice", reason));
            let (server, under_way) = (Arc::clone(&server), Arc::clone(&under_way));
            async move {
                // Not answered at once: the thread has other work first.
                actix_rt::task::yield_now().await;
                under_way.fetch_sub(1, Ordering::SeqCst);
                let token = server.issue_token("alice", Some(LIFE)).map_err(ProviderError::new)?;
                Ok(TokenGrant::new(token)?)
            }
        }
    };
    let credentials = Credentials::provider("alice", provider).unwrap();
    let (connection, mut heard) = online(beating(&server), credentials).await;
    lives(&mut heard, 3).await;
    assert_eq!(connection.state(), ConnectionState::Online);
    assert!(asked.load(Ordering::SeqCst) >= 3);
    server.drop_links("alice", Cut::Fin);
    assert!(heard.connected().await, "the newest token serves");
    connection.close().await;
}

/// Gives every token it is asked for, and counts.
struct Issuer {
    server: Arc<LocalServer>,
    reasons: Vec<TokenReason>,
}

impl Actor for Issuer {
    type Context = Context<Self>;
}

impl Handler<ProvideToken> for Issuer {
    type Result = ResponseFuture<Result<TokenGrant, ProviderError>>;

    fn handle(&mut self, ProvideToken(request): ProvideToken, _: &mut Self::Context) -> Self::Result {
        self.reasons.push(request.reason);
        let token = self.server.issue_token(request.user.as_str(), None);
        Box::pin(async move { Ok(TokenGrant::new(token.map_err(ProviderError::new)?)?) })
    }
}

#[derive(actix::Message)]
#[rtype(result = "Vec<TokenReason>")]
struct Reasons;

impl Handler<Reasons> for Issuer {
    type Result = MessageResult<Reasons>;

    fn handle(&mut self, _: Reasons, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.reasons.clone())
    }
}

#[actix::test]
async fn an_actor_on_another_thread_provides_the_first_token_and_the_one_after_a_refusal() {
    let server = Arc::new(server().await);
    let arbiter = actix::Arbiter::new();
    let of_issuer = Arc::clone(&server);
    let issuer = Issuer::start_in_arbiter(&arbiter.handle(), |_| Issuer { server: of_issuer, reasons: Vec::new() });
    let credentials = Credentials::provider("alice", issuer.clone().recipient::<ProvideToken>()).unwrap();
    let (connection, mut heard) = online(quick(server.config()), credentials).await;
    server.refuse_next_provisions(1, 1, Some("Sorry, token expired"));
    server.drop_links("alice", Cut::Fin);
    heard.lost().await;
    assert_eq!(heard.next().await, EventKind::Connected { resumed: true }, "the end of a token is not told");
    assert_eq!(issuer.send(Reasons).await.unwrap(), [TokenReason::Login, TokenReason::Expired]);

    // One that is gone gives none: the next refusal is the end.
    arbiter.stop();
    arbiter.join().unwrap();
    server.refuse_next_provisions(1, 1, Some("Sorry, token expired"));
    server.drop_links("alice", Cut::Fin);
    assert_eq!(heard.disconnected().await, DisconnectReason::TokenExpired);
    connection.close().await;
}

#[actix::test]
async fn a_provider_that_panics_costs_the_login_but_not_the_connection() {
    let server = server().await;
    let (connection, _heard) = start(quick(server.config()));
    let panics = |_: TokenRequest| -> std::future::Ready<Result<TokenGrant, ProviderError>> { panic!("as planned") };
    let error = within("open", connection.open(Credentials::provider("alice", panics).unwrap())).await.unwrap_err();
    assert!(matches!(&error, OpenError::Provider { error: TokenError::Panicked, .. }), "{error:?}");
    connection.open(alice()).await.unwrap();
    connection.close().await;
}

#[actix::test]
async fn a_provider_without_an_answer_is_given_up_and_its_future_dropped() {
    struct Dropped(tokio::sync::mpsc::UnboundedSender<()>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            // The test may be over.
            let _ = self.0.send(());
        }
    }
    let server = server().await;
    let (connection, _heard) = start(quick(server.config()).token_timeout(Duration::from_millis(50)));
    let (tell, mut dropped) = tokio::sync::mpsc::unbounded_channel();
    let hangs = move |_: TokenRequest| {
        let kept = Dropped(tell.clone());
        async move {
            let _kept = kept;
            std::future::pending::<Result<TokenGrant, ProviderError>>().await
        }
    };
    let error = within("open", connection.open(Credentials::provider("alice", hangs).unwrap())).await.unwrap_err();
    assert!(matches!(&error, OpenError::Provider { error: TokenError::Timeout, .. }), "{error:?}");
    within("the drop", dropped.recv()).await.unwrap();
    assert_eq!(connection.state(), ConnectionState::LoggedOut);
}

#[actix::test]
async fn a_provided_token_that_the_service_does_not_know_is_not_taken_and_the_session_outlives_its_own() {
    let server = Arc::new(server().await);
    let token = server.issue_token("alice", Some(LIFE)).unwrap();
    let good = Arc::new(AtomicUsize::new(0));
    let (issuer, is_good) = (Arc::clone(&server), Arc::clone(&good));
    let provider = move |_: TokenRequest| {
        let given = match is_good.load(Ordering::SeqCst) {
            0 => "nonsense".to_owned(),
            _ => issuer.issue_token("alice", None).unwrap(),
        };
        std::future::ready(TokenGrant::new(given).map_err(ProviderError::from))
    };
    let credentials = Credentials::token("alice", token.clone()).unwrap().with_provider(provider);
    let (connection, mut heard) = online(beating(&server), credentials).await;
    lives(&mut heard, 1).await;
    server.wait_until(LIMIT, |server| server.rest_calls().iter().any(is_expiry)).await.unwrap();
    // The token is dead, and the source gives none that is known: the way back goes on.
    server.revoke_token(&token);
    server.drop_links("alice", Cut::Fin);
    for _ in 0..3 {
        let cause = heard.until(|event| match event {
            EventKind::Reconnecting { cause, .. } => Some(cause),
            event => panic!("{event:?}"),
        });
        cause.await;
    }
    good.store(1, Ordering::SeqCst);
    assert!(heard.connected().await);
    connection.close().await;
}

fn is_expiry(call: &RestCall) -> bool {
    call.path.ends_with("/token/expires")
}

use crate::{
    model::{account::UserId, auth::TokenGrant, error::ProviderError},
    util::{impls::impl_debug, lent::Lent},
};
use actix::{MailboxError, Message, Recipient};
use std::{future::Future, pin::Pin, sync::Arc};
use tokio::sync::Mutex;

/// The answer of a [`TokenProvider`] to come.
pub type ProvidingToken = Pin<Box<dyn Future<Output = Result<TokenGrant, ProviderError>> + Send>>;

/// Gives a session new tokens, so that it outlives each of them; given by
/// [`Credentials::provider`](crate::Credentials::provider) or
/// [`Credentials::with_provider`](crate::Credentials::with_provider).
///
/// It is asked when a login has no token yet, from `TokenWillExpire` on, and when the server refuses a token; never
/// twice at once, also where several sessions were opened with clones of one `Credentials`: they take turns. An answer that takes longer than `ConfigBuilder::token_timeout` (30 s) is given up: its future
/// is dropped. A failed ask is repeated after 2.5 to 5 s, then after growing pauses of up to 60 s. The session outlives
/// its token meanwhile; while the link is down, each attempt to regain it asks anew. Only an answer that is
/// [permanent](ProviderError::permanent) ends the asking, and the session with its token.
///
/// The future is polled on the connection's thread, so it must not block. One that panics counts as failed.
///
/// A closure is a provider, and so is the [`Recipient`] of an actor that handles [`ProvideToken`]:
///
/// ```
/// use agora_chat::{Credentials, account::{TokenGrant, TokenRequest}};
/// # async fn from_my_server(_: &str) -> Result<String, std::io::Error> { Ok("007…".to_owned()) }
/// let credentials = Credentials::provider("alice", |request: TokenRequest| async move {
///     let token = from_my_server(request.user.as_str()).await.map_err(agora_chat::errors::ProviderError::new)?;
///     Ok(TokenGrant::new(token)?)
/// })?;
/// # Ok::<(), agora_chat::errors::CredentialError>(())
/// ```
pub trait TokenProvider: Send + Sync + 'static {
    /// Begins to get a token.
    fn token(&self, request: TokenRequest) -> ProvidingToken;
}

impl<F, Answer> TokenProvider for F
where
    F: Fn(TokenRequest) -> Answer + Send + Sync + 'static,
    Answer: Future<Output = Result<TokenGrant, ProviderError>> + Send + 'static,
{
    fn token(&self, request: TokenRequest) -> ProvidingToken {
        Box::pin(self(request))
    }
}

impl TokenProvider for Recipient<ProvideToken> {
    /// Asks the actor; past its mailbox's bound, since there is one request at a time.
    fn token(&self, request: TokenRequest) -> ProvidingToken {
        let asked = self.send(ProvideToken(request));
        Box::pin(async move {
            asked.await.unwrap_or_else(|error| {
                Err(match error {
                    // An address never leads to another actor.
                    MailboxError::Closed => ProviderError::permanent("the provider's actor has ended"),
                    MailboxError::Timeout => ProviderError::new("the provider's actor did not answer"),
                })
            })
        })
    }
}

/// Asks an actor for a token; see [`TokenProvider`].
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<TokenGrant, ProviderError>")]
pub struct ProvideToken(pub TokenRequest);

/// Request to a [`TokenProvider`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenRequest {
    /// For whom.
    pub user: UserId,
    /// The reason.
    pub reason: TokenReason,
}

impl TokenRequest {
    pub(crate) fn new(user: UserId, reason: TokenReason) -> Self {
        TokenRequest { user, reason }
    }
}

/// Reason for wanting a new token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenReason {
    /// A login has no token yet.
    Login,
    /// The token in use is about to end.
    Expiring,
    /// The token has ended, or the server refused it as expired.
    Expired,
    /// The server refused the token for another reason, such as that it is one of another user or application.
    Refused,
}

/// A provider shared by clones of [`Credentials`](crate::Credentials), whose sessions ask it in turn.
#[derive(Clone)]
pub(crate) struct Provider(pub(crate) Arc<dyn TokenProvider>);

impl Provider {
    pub(crate) fn new(provider: impl TokenProvider) -> Self {
        Provider(Arc::new(InTurn { provider: Arc::new(Lent::new(provider)), turn: Arc::default() }))
    }

    pub(crate) fn is(&self, other: &Provider) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl_debug!(|_: Provider| "TokenProvider");

/// Lets one ask through at a time. Waiting counts towards an ask's time limit, and an ask given up frees its place.
struct InTurn<P> {
    provider: Arc<Lent<P>>,
    turn: Arc<Mutex<()>>,
}

impl<P: TokenProvider> TokenProvider for InTurn<P> {
    fn token(&self, request: TokenRequest) -> ProvidingToken {
        let (provider, turn) = (Arc::clone(&self.provider), Arc::clone(&self.turn));
        Box::pin(async move {
            let _turn = turn.lock().await;
            let lent = provider.get().ok_or_else(|| ProviderError::new("the provider is gone"))?;
            lent.token(request).await
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::{Context, Poll, Waker},
    };

    use tokio::sync::Semaphore;

    use super::{Provider, ProviderError, TokenGrant, TokenReason, TokenRequest};

    #[test]
    fn sessions_that_share_a_provider_ask_it_in_turn_and_an_ask_given_up_holds_nobody_back() {
        let (asked, let_go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let provider = {
            let (asked, let_go) = (Arc::clone(&asked), Arc::clone(&let_go));
            Provider::new(move |_: TokenRequest| {
                asked.fetch_add(1, Ordering::SeqCst);
                let let_go = Arc::clone(&let_go);
                async move {
                    let_go.acquire().await.map_err(ProviderError::new)?.forget();
                    Ok(TokenGrant::new("YWMt-token")?)
                }
            })
        };
        let request = || TokenRequest::new("alice".parse().unwrap(), TokenReason::Expiring);
        let mut cx = Context::from_waker(Waker::noop());
        let (mut first, mut second) = (provider.0.token(request()), provider.clone().0.token(request()));
        assert!(first.as_mut().poll(&mut cx).is_pending());
        assert!(second.as_mut().poll(&mut cx).is_pending());
        assert_eq!(asked.load(Ordering::SeqCst), 1, "the second waits for its turn");
        drop(first);
        assert!(second.as_mut().poll(&mut cx).is_pending());
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        let_go.add_permits(1);
        assert!(matches!(second.as_mut().poll(&mut cx), Poll::Ready(Ok(_))));
    }
}

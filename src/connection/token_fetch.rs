//! Gets a session's next token, from the provider or by REST.

use std::{future::Future, sync::Arc};

use crate::{
    model::{
        auth::{ProvidedToken, TokenProvider, TokenReason, TokenRequest},
        error::{RestError, RestErrorKind, TokenError},
    },
    rest::{Grant, RestClient},
    session::{Expiry, FetchedToken, TokenSource},
    util::guarded,
};

/// The answer to an ask of the engine's, whose deadline it is to drop this.
pub(super) async fn fetch(
    request: TokenRequest,
    from: TokenSource,
    rest: impl Future<Output = Result<RestClient, RestError>>,
) -> Result<FetchedToken, TokenError> {
    match from {
        TokenSource::Password(password) => Ok(fetched(rest.await?.password_token(&request.user, &password).await?)),
        TokenSource::Provider(provider) => {
            let (user, reason) = (request.user.clone(), request.reason);
            let ProvidedToken { token, mut expires_at } = provided(provider, request).await?;
            // On the way in, PROVISION tells the end.
            if expires_at.is_none() && reason == TokenReason::Expiring {
                let asked = async { rest.await?.token_expiry(&user, &token).await }.await;
                expires_at = match asked {
                    Ok(at) => Some(at),
                    Err(error) if *error.kind() == RestErrorKind::Unauthorized => return Err(error.into()),
                    Err(_) => None,
                };
            }
            Ok(FetchedToken { token, expires_at: expires_at.map(Expiry::At) })
        }
    }
}

/// What REST granted: its end by the server's clock, or its life, which needs none.
pub(super) fn fetched(grant: Grant) -> FetchedToken {
    let expires_at = grant.expires_at.map(Expiry::At).or(grant.expires_in.map(Expiry::In));
    FetchedToken { token: grant.token, expires_at }
}

/// Asks the application's provider, whose panic is not to end the connection.
async fn provided(provider: Arc<dyn TokenProvider>, request: TokenRequest) -> Result<ProvidedToken, TokenError> {
    let begin = || Box::pin(async move { provider.token(request).await });
    match guarded(begin).await {
        Some(given) => given.map_err(TokenError::Provider),
        None => Err(TokenError::Panicked),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future as _,
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::{ProvidedToken, TokenReason, TokenRequest, TokenSource, fetch};
    use crate::model::{
        auth::{Credentials, Provider},
        error::{ProviderError, RestError, TokenError},
    };

    struct Explosive;

    impl Drop for Explosive {
        fn drop(&mut self) {
            panic!("on purpose, when dropped");
        }
    }

    /// The answer to an ask that may panic while it is dropped.
    fn ask(answers: bool) -> Poll<Result<(), TokenError>> {
        let provider = Provider::new(move |_: TokenRequest| async move {
            let _explosive = Explosive;
            if !answers {
                std::future::pending::<()>().await;
            }
            Ok::<_, ProviderError>(ProvidedToken::new("YWMt-token")?)
        });
        let request = TokenRequest::new("alice".parse().unwrap(), TokenReason::Login);
        let rest = async { unreachable!("the answer is the provider's") as Result<_, RestError> };
        let mut asked = pin!(fetch(request, TokenSource::Provider(provider.0), rest));
        asked.as_mut().poll(&mut Context::from_waker(Waker::noop())).map_ok(|_| ())
    }

    #[test]
    fn a_provider_that_panics_anywhere_costs_its_own_ask_only() {
        // What panics where it is dropped at its end has given no answer; given up, it is not heard at all.
        assert!(matches!(ask(true), Poll::Ready(Err(TokenError::Panicked))));
        assert!(ask(false).is_pending());
    }

    #[test]
    fn a_provider_may_panic_where_the_last_credentials_are_dropped() {
        let explosive = Explosive;
        let credentials = Credentials::provider("alice", move |_: TokenRequest| {
            let _kept = &explosive;
            async { Ok(ProvidedToken::new("YWMt-token")?) }
        });
        drop(credentials);
    }
}

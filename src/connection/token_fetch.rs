//! Gets a session's next token, from the provider or by REST.

use std::{future::Future, sync::Arc};

use crate::{
    model::{
        auth::{Expiry, TokenGrant, TokenProvider, TokenReason, TokenRequest},
        error::{RestError, RestErrorKind, TokenError},
    },
    rest::RestClient,
    session::TokenSource,
    util::guarded,
};

/// Gets a token and its end; the engine's deadline drops this.
pub(super) async fn fetch(
    request: TokenRequest,
    from: TokenSource,
    rest: impl Future<Output = Result<RestClient, RestError>>,
) -> Result<TokenGrant, TokenError> {
    match from {
        TokenSource::Password(password) => Ok(rest.await?.password_token(&request.user, &password).await?),
        TokenSource::Given(token) => {
            let end = rest.await?.token_expiry(&request.user, &token).await?;
            Ok(TokenGrant::of(token, Some(Expiry::At(end))))
        }
        TokenSource::Provider(provider) => {
            let (user, reason) = (request.user.clone(), request.reason);
            let mut grant = provided(provider, request).await?;
            // PROVISION reports the end.
            if grant.expires_at.is_none() && reason == TokenReason::Expiring {
                let asked = async { rest.await?.token_expiry(&user, &grant.token).await }.await;
                grant.expires_at = match asked {
                    Ok(at) => Some(Expiry::At(at)),
                    Err(error) if *error.kind() == RestErrorKind::Unauthorized => return Err(error.into()),
                    Err(_) => None,
                };
            }
            Ok(grant)
        }
    }
}

/// Asks the application's provider, and catches its panic.
async fn provided(provider: Arc<dyn TokenProvider>, request: TokenRequest) -> Result<TokenGrant, TokenError> {
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

    use super::{TokenGrant, TokenReason, TokenRequest, TokenSource, fetch};
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

    /// Returns the answer to an ask that may panic while it is dropped.
    fn ask(answers: bool) -> Poll<Result<(), TokenError>> {
        let provider = Provider::new(move |_: TokenRequest| async move {
            let _explosive = Explosive;
            if !answers {
                std::future::pending::<()>().await;
            }
            Ok::<_, ProviderError>(TokenGrant::new("YWMt-token")?)
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
            async { Ok(TokenGrant::new("YWMt-token")?) }
        });
        drop(credentials);
    }
}

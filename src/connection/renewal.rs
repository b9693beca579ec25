//! Gets a session's next token, from the provider or by REST.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use crate::{
    ProvidedToken, RestClient, RestError, RestErrorKind, TokenError, TokenProvider, TokenReason, TokenRequest,
    rest::Grant,
    session::{Expiry, FetchedToken, TokenSource},
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
    let mut asked = pin!(async move { provider.token(request).await });
    poll_fn(|task| match catch_unwind(AssertUnwindSafe(|| asked.as_mut().poll(task))) {
        Ok(polled) => polled.map_err(TokenError::Provider),
        Err(_) => Poll::Ready(Err(TokenError::Panicked)),
    })
    .await
}

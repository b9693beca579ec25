//! Where accounts that were given by a token get the next one.

use std::{sync::Arc, time::Duration};

use agora_chat::{
    Config, Credentials,
    account::{Expiry, Token, TokenGrant, TokenRequest},
    errors::{CredentialError, ProviderError},
    rest::TokenUrl,
    token::ChatTokenBuilder,
};

/// A source of tokens.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// The application's certificate, which makes them here.
    Certificate(Arc<ChatTokenBuilder>, Duration),
    /// A server of the application's.
    Url(TokenUrl),
}

/// Takes the content of a certificate's file: the App ID and the App Certificate, or the latter alone.
///
/// # Errors
/// In words, without the secret.
pub(crate) fn certificate(text: &str, app_id: Option<&str>, life: Duration) -> Result<Source, String> {
    let words: Vec<&str> = text.split([':', ' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()).collect();
    let (app_id, certificate) = match (words.as_slice(), app_id) {
        ([certificate], Some(app_id)) => (app_id, certificate),
        ([app_id, certificate], None) => (*app_id, certificate),
        ([_, _], Some(_)) => return Err("it holds an App ID already; take app_id out of the configuration".to_owned()),
        ([_], None) => {
            return Err("it holds one word; put the App ID on a line before the certificate, or give app_id".to_owned());
        }
        _ => return Err("it must hold the App ID and the App Certificate, each on a line".to_owned()),
    };
    let builder = ChatTokenBuilder::new(app_id, *certificate).map_err(|error| error.to_string())?;
    Ok(Source::Certificate(Arc::new(builder), life))
}

/// Takes the address of a provider, and the key that is sent with every request.
///
/// # Errors
/// In words: a malformed address, or one that is not encrypted.
pub(crate) fn provider(config: &Config, url: &str, key: Option<Token>) -> Result<Source, String> {
    let provider = TokenUrl::new(config, url).map_err(|error| error.to_string())?;
    Ok(Source::Url(match key {
        Some(key) => provider.bearer(key),
        None => provider,
    }))
}

impl Source {
    /// Returns what it is, for people.
    pub(crate) fn words(&self) -> &'static str {
        match self {
            Source::Certificate(..) => "made with the app certificate",
            Source::Url(_) => "asked for at the provider's address",
        }
    }

    /// Returns the credentials of a user that are renewed from here, the first token included where none is given.
    ///
    /// # Errors
    /// For a token or user that the service would refuse.
    pub(crate) fn credentials(&self, user: &str, first: Option<&str>) -> Result<Credentials, CredentialError> {
        match self.clone() {
            Source::Url(url) => with(user, first, url),
            Source::Certificate(builder, life) => with(user, first, move |request: TokenRequest| {
                let token = builder.user(&request.user, life).map(|new| new.build_now());
                let grant = token.map(|token| TokenGrant::of(token, Some(Expiry::In(life))));
                std::future::ready(grant.map_err(ProviderError::permanent))
            }),
        }
    }
}

fn with(
    user: &str,
    first: Option<&str>,
    provider: impl agora_chat::TokenProvider,
) -> Result<Credentials, CredentialError> {
    match first {
        Some(token) => Ok(Credentials::token(user, token)?.with_provider(provider)),
        None => Credentials::provider(user, provider),
    }
}

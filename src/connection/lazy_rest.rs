//! The session's REST client, whose address discovery may have to find first.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use slog::Logger;

use crate::{
    config::{Addresses, Config, Endpoints},
    model::{error::RestError, redactor::Redactor},
    rest::{self, RestClient},
};

/// Makes the REST client once its address is known; all clones share it.
#[derive(Clone)]
pub(super) struct LazyRest {
    config: Arc<Config>,
    redactor: Redactor,
    logger: Logger,
    client: Rc<RefCell<Option<RestClient>>>,
}

impl LazyRest {
    pub(super) fn new(config: Arc<Config>, redactor: Redactor, logger: Logger) -> Self {
        let client = match &config.endpoints {
            Endpoints::Fixed(addresses) => {
                Some(RestClient::of_session(&config, addresses.rest.clone(), &redactor, &logger))
            }
            Endpoints::Discovery(_) => None,
        };
        LazyRest { config, redactor, logger, client: Rc::new(RefCell::new(client)) }
    }

    pub(super) async fn client(self) -> Result<RestClient, RestError> {
        let known = self.client.borrow().clone();
        match known {
            Some(client) => Ok(client),
            None => Ok(self.discovered().await?.1),
        }
    }

    pub(super) async fn discover(self) -> Result<Addresses, RestError> {
        Ok(self.discovered().await?.0)
    }

    async fn discovered(&self) -> Result<(Addresses, RestClient), RestError> {
        let found = rest::discover_shown_by(&self.config, &self.redactor, &self.logger).await?;
        let client = RestClient::of_session(&self.config, found.rest.clone(), &self.redactor, &self.logger);
        self.client.replace(Some(client.clone()));
        Ok((found, client))
    }
}

//! REST errors, caused the way a server causes them: nobody outside the crate can make one by hand.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::OnceLock,
};

use agora_chat::{Config, RestClient, UserId, account::Password, config::Endpoints, errors::RestError, rest};

struct Errors {
    wrong_password: RestError,
    overloaded: RestError,
    unavailable: RestError,
    gateway: RestError,
    nowhere: RestError,
}

/// The password is wrong: trying again is of no use.
pub(crate) fn wrong_password() -> RestError {
    errors().wrong_password.clone()
}

/// 503 with `Retry-After: 7`.
pub(crate) fn overloaded() -> RestError {
    errors().overloaded.clone()
}

/// 500: it may pass, and nobody said when.
pub(crate) fn unavailable() -> RestError {
    errors().unavailable.clone()
}

/// 403 without a word of the service's: somebody before it said so.
pub(crate) fn gateway() -> RestError {
    errors().gateway.clone()
}

/// Discovery failed, with a pause of 7 s asked for.
pub(crate) fn nowhere() -> RestError {
    errors().nowhere.clone()
}

fn errors() -> &'static Errors {
    static ERRORS: OnceLock<Errors> = OnceLock::new();
    ERRORS.get_or_init(|| {
        const INVALID: &str = r#"{"error":"invalid_grant","error_description":"invalid password"}"#;
        let errors = Errors {
            wrong_password: token_error(answer_once(400, "", INVALID)),
            overloaded: token_error(answer_once(503, "Retry-After: 7\r\n", "{}")),
            unavailable: token_error(answer_once(500, "", "{}")),
            gateway: token_error(answer_once(403, "", "{}")),
            nowhere: discovery_error(answer_once(503, "Retry-After: 7\r\n", "{}")),
        };
        assert!(errors.wrong_password.is_final() && !errors.overloaded.is_final());
        errors
    })
}

/// A loopback server for one answer; its address.
fn answer_once(status: u16, headers: &str, body: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let answer =
        format!("HTTP/1.1 {status} X\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut buffer = [0; 1024];
        // A request with a body ends with its JSON, one without with the empty line.
        while !request.ends_with(b"}") && !request.ends_with(b"\r\n\r\n")
            || request.starts_with(b"POST") && !request.ends_with(b"}")
        {
            let read = stream.read(&mut buffer).unwrap();
            request.extend_from_slice(&buffer[..read]);
        }
        stream.write_all(answer.as_bytes()).unwrap();
    });
    address
}

fn token_error(address: String) -> RestError {
    let config = Config::builder("org#app").addresses(address, "wss://socket.test/websocket");
    let user: UserId = "alice".parse().unwrap();
    let call = async {
        RestClient::new(&config.build().unwrap()).unwrap().password_token(&user, &Password::new("x").unwrap()).await
    };
    actix_rt::System::new().block_on(call).unwrap_err()
}

fn discovery_error(address: String) -> RestError {
    let config = Config::builder("org#app").endpoints(Endpoints::Discovery(vec![address]));
    actix_rt::System::new().block_on(rest::discover(&config.build().unwrap())).unwrap_err()
}
